"""Verbs typed one after the other with --format json, and what each of them wrote: the reference is made of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from json_keys import keys, plain


class Walk:
    """What was typed on `host`; `recorded` is the file with what verbs wrote when the reference was made."""

    def __init__(self, host: Any, recorded: Path) -> None:
        self.host, self.recorded = host, recorded
        self.shown: dict[str, list[dict[str, Any]]] = {}

    def __call__(self, line: str, *rest: str, status: int = 0) -> None:
        """`vfioctl LINE REST`, which ends with `status`; no word of LINE has a blank in it."""
        words = [*line.split(), *rest]
        at = words.index("--") if "--" in words else len(words)
        ended = self.host.cli(*words[:at], "--format", "json", *words[at:])
        assert ended.returncode == status, f"{line}: {ended.stdout}{ended.stderr}"
        self.has_written(json.loads(ended.stdout))

    def has_written(self, envelope: dict[str, Any]) -> None:
        self.shown.setdefault(envelope["command"], []).append(envelope["data"])

    def must_be_recorded(self, *, regenerate: bool) -> None:
        """Every verb wrote the keys that the reference has of it, no others; with `regenerate` it has them then."""
        seen = {verb: {"keys": keys(values), "example": plain(_fullest(values))} for verb, values in self.shown.items()}
        if regenerate:
            self.recorded.parent.mkdir(exist_ok=True)
            self.recorded.write_text(json.dumps(dict(sorted(seen.items())), indent=1, ensure_ascii=False) + "\n")
        known = json.loads(self.recorded.read_text())
        assert {verb: set(one["keys"]) for verb, one in seen.items()} == {
            verb: set(one["keys"]) for verb, one in known.items()
        }, "The JSON differs; look at it, then: pytest --regenerate, here and of tests/contract/test_json_pages.py"


def _fullest(values: list[dict[str, Any]]) -> dict[str, Any]:
    """The last of those with the most keys."""
    return max(reversed(values), key=lambda value: len(keys([value])))
