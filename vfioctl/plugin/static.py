"""Static data of a plugin: `vfioctl-plugin.toml` beside its hook module, read without importing it."""

from __future__ import annotations

import os
from collections.abc import Mapping

from vfioctl import files
from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import reason

if TYPE_CHECKING:
    from typing import Any

FILE = "vfioctl-plugin.toml"
LARGEST = 1 << 20
TYPES: Mapping[str, type] = {"str": str, "bool": bool, "int": int, "float": float, "list": list, "table": dict}
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
    except (OSError, ValueError) as error:
        raise StaticError(f"{path}: {reason(error)}") from error
    if problem := _problem(data) or next(problems(data), None):
        raise StaticError(f"{path}: {problem}")
    return {**{key: [] for key in LISTS}, "summary": "", "opt_in": False, "config": {}, **data}


def _problem(data: Mapping[str, Any]) -> str | None:
    if unknown := sorted(data.keys() - KEYS):
        return f"unknown key {unknown[0]}"
    if not isinstance(data.get("name"), str) or not data["name"]:
        return "name must be a string"
    if not isinstance(data.get("api"), int):
        return "api must be a number"
    claims = data.get("claims", [])
    if not isinstance(claims, list) or not all(_is_claim(claim) for claim in claims):
        return 'claims must be a list of "vendor:device" in hex, either of them "*"'
    units = data.get("units", [])
    if not isinstance(units, list) or not all(isinstance(unit, str) for unit in units):
        return "units must be a list of unit names"
    table = data.get("config", {})
    if not isinstance(table, dict):
        return "config must be a table"
    if said := next((said for key, entry in table.items() if (said := _entry_problem(key, entry))), None):
        return said
    return _code_problem(data.get("code", []))


def _is_claim(claim: object) -> bool:
    vendor, colon, device = claim.partition(":") if isinstance(claim, str) else ("", "", "")
    return bool(colon) and all(part == "*" or _is_id(part) for part in (vendor, device))


def _is_id(text: str) -> bool:
    return len(text) == 4 and all(digit in "0123456789abcdef" for digit in text)  # noqa: PLR2004 -- PCI ids


def _entry_problem(key: str, entry: object) -> str | None:
    if not isinstance(entry, dict) or entry.keys() - ENTRY_KEYS:
        return f"config.{key} must be a table of {', '.join(sorted(ENTRY_KEYS))}"
    expected = TYPES.get(entry.get("type", ""))
    if expected is None:
        return f"config.{key}.type must be one of {', '.join(TYPES)}"
    if "default" in entry and type(entry["default"]) is not expected:
        return f"config.{key}.default is not of type {entry['type']}"
    return None


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


def _is_code(name: str) -> bool:
    words = name.split(".")
    return len(words) == 2 and all(word[:1].isalpha() and word.isidentifier() and word.islower() for word in words)  # noqa: PLR2004


def claims_match(claims: tuple[str, ...], vendor: int, device: int) -> bool:
    """Whether one of `claims` ("10de:*") names the device vendor:device."""
    ids = (f"{vendor:04x}", f"{device:04x}")
    return any(
        all(part in ("*", own) for part, own in zip(claim.split(":"), ids, strict=True)) for claim in claims
    )
