"""Static data of a plugin: `vfioctl-plugin.toml` beside its hook module, read without importing it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from vfioctl import files
from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import reason

if TYPE_CHECKING:
    from typing import Any

FILE = "vfioctl-plugin.toml"
LARGEST = 1 << 20
TYPES: Mapping[str, type] = {"str": str, "bool": bool, "int": int, "float": float, "list": list, "table": dict}
NEEDED = ("name", "api")
LISTS = ("claims", "units", "code", "command", "group", "operation")
KEYS = {"name", "api", "summary", "opt_in", "config", *LISTS}
ENTRY_KEYS = {"type", "default", "summary", "choices"}
CODE_KEYS = {"name", "meaning", "remedy"}
MORE = {"at_length"}


class StaticError(ValueError):
    """The static data cannot be used; the message says why in one sentence."""


def read_static(directory: str) -> dict[str, Any]:
    """The static data in `directory`, checked and with defaults filled in. Raises StaticError."""
    import tomllib  # this and `commands`: only for a manifest that is built anew

    from vfioctl.plugin.commands import problems

    path = os.path.join(directory, FILE)
    try:
        data = tomllib.loads(files.read_bytes(path, follow=True, limit=LARGEST).decode())
    except FileNotFoundError:
        raise StaticError(f"{path} is missing") from None
    except RecursionError as error:
        raise StaticError(f"{path}: brackets are nested too deep") from error
    except (OSError, ValueError) as error:
        raise StaticError(f"{path}: {reason(error)}") from error
    if problem := _problem(data) or next(problems(data), None):
        raise StaticError(f"{path}: {problem}")
    return {**{key: [] for key in LISTS}, "summary": "", "opt_in": False, "config": {}, **data}


def _problem(data: Mapping[str, Any]) -> str | None:
    if unknown := sorted(data.keys() - KEYS):
        return f"unknown key {unknown[0]}"
    for key, (is_right, words) in WORDS.items():
        if (key in data or key in NEEDED) and not is_right(data.get(key)):
            return f"{key} must be {words}"
    entries = (_entry_problem(key, entry) for key, entry in data.get("config", {}).items())
    return next(filter(None, entries), None) or _code_problem(data.get("code", []))


def _is_claim(claim: object) -> bool:
    vendor, colon, device = claim.partition(":") if isinstance(claim, str) else ("", "", "")
    return bool(colon) and all(part == "*" or _is_id(part) for part in (vendor, device))


def _is_id(text: str) -> bool:
    return len(text) == 4 and all(digit in "0123456789abcdef" for digit in text)  # noqa: PLR2004 -- PCI ids


def _entry_problem(key: str, entry: object) -> str | None:
    if not key.isascii() or not key.replace("_", "").replace("-", "").isalnum():
        return f"config.{key} must have a name of letters, digits, - and _"
    if not isinstance(entry, dict) or entry.keys() - ENTRY_KEYS:
        return f"config.{key} must be a table of {', '.join(sorted(ENTRY_KEYS))}"
    kind = entry.get("type")
    if not isinstance(kind, str) or kind not in TYPES:
        return f"config.{key}.type must be one of {', '.join(TYPES)}"
    if not _is_text(entry.get("summary", "")):
        return f"config.{key}.summary must be text"
    if not _are_texts(entry.get("choices", [])):
        return f"config.{key}.choices must be a list of texts"
    if "default" in entry and not _is_of(kind, entry["default"]):
        return f"config.{key}.default is not of type {kind}"
    return None


def _is_of(kind: str, value: object) -> bool:
    """Whether `value` is of the type `kind`: in a list or a table is text, and a number has 64 bits, as TOML says."""
    if type(value) is not TYPES[kind]:
        return False
    inner = list(value.values()) if isinstance(value, dict) else value
    return _are_texts(inner) if isinstance(inner, list) else not isinstance(value, int) or abs(value) < 1 << 63


def _code_problem(rows: object) -> str | None:
    """The codes of what the plugin finds and raises, for the reference: `area.word`, each once."""
    if not isinstance(rows, list):
        return "code must be an array of tables: [[code]]"
    seen: set[str] = set()
    for row in rows:
        if not isinstance(row, dict) or row.keys() - MORE != CODE_KEYS or not all(map(_is_text, row.values())):
            return f"each [[code]] must be {', '.join(sorted(CODE_KEYS))}, all text, and may have {', '.join(MORE)}"
        if not _is_code(row["name"]):
            return f"code {row['name']!r} must be two words of a-z, 0-9 and _ with a dot between"
        if row["name"] in seen:
            return f"code {row['name']} is there twice"
        seen.add(row["name"])
    return None


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _is_code(name: str) -> bool:
    words = name.split(".")
    return len(words) == 2 and all(word[:1].isalpha() and word.isidentifier() and word.islower() for word in words)  # noqa: PLR2004


def claims_match(claims: tuple[str, ...], vendor: int, device: int) -> bool:
    """Whether one of `claims` ("10de:*") names the device vendor:device."""
    ids = (f"{vendor:04x}", f"{device:04x}")
    return any(
        all(part in ("*", own) for part, own in zip(claim.split(":"), ids, strict=True)) for claim in claims
    )


WORDS: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "name": (lambda name: _is_text(name) and name != "", "a string"),
    "api": (lambda api: _is_of("int", api), "a number"),
    "summary": (_is_text, "text"),
    "opt_in": (lambda opt_in: isinstance(opt_in, bool), "true or false"),
    "claims": (
        lambda claims: _are_texts(claims) and all(map(_is_claim, claims)),
        'a list of "vendor:device" in hex, either of them "*"',
    ),
    "units": (_are_texts, "a list of unit names"),
    "config": (lambda table: isinstance(table, dict), "a table"),
}
