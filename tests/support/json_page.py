"""The pages of docs/reference/json: of each verb the keys of its data, their meanings, and an example. Reads only."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

from json_keys import laid_out
from reference import ROOT

PLACE = ROOT / "docs/reference/json"
# What many verbs have alike stands once, in json.md.
SHARED = {**dict.fromkeys(("operation", "steps", "dry_run"), "an-operation"), "nodes": "nodes-that-were-asked"}
HEAD = """<!-- Generated: pytest tests/contract/test_json_pages.py --regenerate -->

The `data` of each verb with `--format json`; what is around it, and what many verbs have alike, stands in
[json.md](../json.md). `[]` is each item of a list, `*` each name in an object. An example is what was once written,
with one item of each list and without what verbs have alike."""
TABLE = ("| key | type | meaning |", "|---|---|---|")


def pages() -> dict[str, dict[str, Any]]:
    """What verbs wrote in the tests that record it, by verb, for each page."""
    recorded = (*ROOT.glob("tests/libvirt/goldens/json_*.json"), *ROOT.glob("plugins/*/tests/goldens/json_*.json"))
    found = {path.stem.removeprefix("json_").replace("_", "-"): json.loads(path.read_text()) for path in recorded}
    return dict(sorted(found.items()))


def known() -> dict[str, dict[str, str]]:
    """What keys mean, by the end of their paths: for a verb, for a group of verbs, or for `all`."""
    return tomllib.loads((PLACE / "meanings.toml").read_text())


def place_of(verb: str, path: str, meanings: Mapping[str, Mapping[str, str]]) -> tuple[str, str]:
    """The table and the key that tell what a path of the data of a verb means. Raises StopIteration for none."""
    words = path.replace("[]", "").split(".")
    ends = [".".join(words[at:]) for at in range(len(words))]
    tables = (verb, verb.partition(" ")[0], "all")
    return next((table, end) for table in tables for end in ends if end in meanings.get(table, {}))


def page(name: str, verbs: Mapping[str, Any], helps: Mapping[str, str]) -> str:
    """One page; `helps` says what each of its `verbs` does."""
    parts = [f"# JSON: {name.replace('-', ' ')}", HEAD]
    for verb, one in verbs.items():
        own = {path: kind for path, kind in one["keys"].items() if top(path) not in SHARED}
        parts += [f"## {verb}", helps[verb], *_beside(one["keys"], own), *_table(verb, own), *_example(one, own)]
    return "\n\n".join(parts) + "\n"


def top(path: str) -> str:
    return path.partition(".")[0].partition("[")[0]


def _beside(keys: Mapping[str, str], own: Mapping[str, str]) -> Iterator[str]:
    names = dict.fromkeys(name for path in keys if (name := top(path)) in SHARED)
    if names:
        linked = ", ".join(f"[`{name}`](../json.md#{SHARED[name]})" for name in names)
        yield f"{linked}{' and:' if own else '.'}"
    elif not own:
        yield "`data` is empty."


def _table(verb: str, keys: Mapping[str, str]) -> Iterator[str]:
    if keys:
        yield "\n".join((*TABLE, *rows(verb, keys)))


def rows(verb: str, keys: Mapping[str, str]) -> Iterator[str]:
    """A line of the table for each key."""
    meanings = known()
    for path, kind in keys.items():
        table, end = place_of(verb, path, meanings)
        yield f"| `{path}` | {kind.replace(' | ', ', ')} | {meanings[table][end]} |"


def _example(one: Mapping[str, Any], own: Mapping[str, str]) -> Iterator[str]:
    kept = {top(path) for path in own}
    if shown := {key: value for key, value in one["example"].items() if key in kept}:
        yield f"```json\n{laid_out(shown)}\n```"


def links() -> Iterator[str]:
    """A line for each page, with its verbs."""
    return (f"- [{name.replace('-', ' ')}](json/{name}.md): {', '.join(verbs)}" for name, verbs in pages().items())


def shared_sections() -> str:
    """The sections of what many verbs have alike."""
    seen: dict[str, set[str]] = {}
    for verbs in pages().values():
        for one in verbs.values():
            for path, kind in one["keys"].items():
                seen.setdefault(path, set()).update(kind.split(" | "))
    parts = []
    for anchor in dict.fromkeys(SHARED.values()):
        keys = {path: " | ".join(sorted(kinds)) for path, kinds in seen.items() if SHARED.get(top(path)) == anchor}
        parts += [f"### {anchor.replace('-', ' ').capitalize()}", "\n".join((*TABLE, *rows("shared", keys)))]
    return "\n\n".join(parts).replace("](../", "](")
