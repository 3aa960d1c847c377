"""The shape of a JSON value: its keys and the types of what they hold, as the reference shows them."""

from __future__ import annotations

import json
from typing import Any

# Those of each step kind stand in the reference of steps.
OPAQUE = ("params", "baseline", "identities", "drivers", "parameters")


def shape(value: Any) -> Any:
    """The keys and types of a JSON value; a list is shown by what its items have in common."""
    if isinstance(value, dict):
        hidden = {key for key, item in value.items() if key in OPAQUE and isinstance(item, dict)}
        return {key: "object" if key in hidden else shape(item) for key, item in value.items()}
    if isinstance(value, list):
        seen = [shape(item) for item in value]
        return [merged(seen)] if seen else []
    return type(value).__name__


def merged(shapes: list[Any]) -> Any:
    if all(isinstance(item, dict) for item in shapes):
        keys = dict.fromkeys(key for item in shapes for key in item)
        return {key: merged([item[key] for item in shapes if key in item]) for key in keys}
    if all(isinstance(item, list) for item in shapes):
        inner = [part for item in shapes for part in item]
        return [merged(inner)] if inner else []
    said = (item if isinstance(item, str) else json.dumps(item) for item in shapes)
    texts = sorted({text for item in said for text in item.split(" | ")})
    return texts[0] if len(texts) == 1 else " | ".join(texts)
