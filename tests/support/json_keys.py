"""The keys of JSON values, by path, with the types of what they hold; and values on few lines. For the reference."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from json_example import example

NAMED_BY_DATA = ("settings", "skipped")  # objects whose keys are names of something
MAC = re.compile("52:54:00(:[0-9a-f]{2}){3}")
UUID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
PLACE = re.compile(r"/\S*/pytest-of-\w+/pytest-\d+/\w+/")
WIDTH = 118


def keys(values: Sequence[Any]) -> dict[str, str]:
    """Each path of the `values`, such as guests[].name, and the types of what is there."""
    found: dict[str, set[str]] = {}
    for value in values:
        for path, kind in _paths(value, ""):
            found.setdefault(path, set()).add(kind)
    filled = {path[: at.start()] for path in found for at in re.finditer(re.escape("[]"), path)}
    return {
        path: " | ".join(sorted(kinds - ({"list"} if path in filled else set())))
        for path, kinds in found.items() if path not in filled or kinds != {"list"}
    }  # fmt: skip


def _paths(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and (value or not path):
        named = path.rpartition(".")[2] in NAMED_BY_DATA
        for key, item in value.items():
            yield from _paths(item, f"{path}.{'*' if named else key}" if path else key)
    elif isinstance(value, list) and value:
        for item in value:
            yield from _paths(item, f"{path}[]")
    else:
        yield path, type(value).__name__


def plain(value: Any) -> Any:
    """`value` as an example, with names, numbers and places that are the same each time."""
    text = json.dumps(example(value, "/none/none"))
    text = MAC.sub("52:54:00:4f:10:9c", UUID.sub("6f1c2a34-5b6d-4e7f-8a90-b1c2d3e4f506", text))
    return json.loads(PLACE.sub("/srv/", text))


def laid_out(value: Any, indent: str = "", used: int = 0) -> str:
    """`value` as JSON on few lines; `used` columns of the first are taken."""
    flat = json.dumps(value, ensure_ascii=False)
    if len(indent) + used + len(flat) < WIDTH or not isinstance(value, dict | list) or not value:
        return flat
    deeper = f"{indent}  "
    if isinstance(value, dict):
        rows = [f"{json.dumps(key)}: {laid_out(item, deeper, len(key) + 4)}" for key, item in value.items()]
    else:
        rows = [laid_out(item, deeper) for item in value]
    first, last = ("{", "}") if isinstance(value, dict) else ("[", "]")
    body = ",\n".join(f"{deeper}{line}" for line in _packed(rows, WIDTH - len(deeper)))
    return f"{first}\n{body}\n{indent}{last}"


def _packed(rows: Sequence[str], width: int) -> list[str]:
    """The rows, as many on a line as fit; one that has several lines stands by itself."""
    lines = [rows[0]]
    for row in rows[1:]:
        if "\n" in lines[-1] + row or len(lines[-1]) + len(row) + 2 > width:
            lines.append(row)
        else:
            lines[-1] += f", {row}"
    return lines
