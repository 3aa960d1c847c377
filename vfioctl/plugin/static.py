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
KEYS = {"name", "api", "claims", "summary", "opt_in", "units", "config"}
ENTRY_KEYS = {"type", "default", "summary", "choices"}


class StaticError(ValueError):
    """The static data cannot be used; the message says why in one sentence."""


def read_static(directory: str) -> dict[str, Any]:
    """The static data in `directory`, checked and with defaults filled in. Raises StaticError."""
    import tomllib  # only for a manifest that is built anew

    path = os.path.join(directory, FILE)
    try:
        data = tomllib.loads(files.read_bytes(path, follow=True, limit=LARGEST).decode())
    except FileNotFoundError:
        raise StaticError(f"{path} is missing") from None
    except (OSError, ValueError) as error:
        raise StaticError(f"{path}: {reason(error)}") from error
    if problem := _problem(data):
        raise StaticError(f"{path}: {problem}")
    return {"claims": [], "summary": "", "opt_in": False, "units": [], "config": {}, **data}


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
    return next((said for key, entry in table.items() if (said := _entry_problem(key, entry))), None)


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


def claims_match(claims: tuple[str, ...], vendor: int, device: int) -> bool:
    """Whether one of `claims` ("10de:*") names the device vendor:device."""
    ids = (f"{vendor:04x}", f"{device:04x}")
    return any(
        all(part in ("*", own) for part, own in zip(claim.split(":"), ids, strict=True)) for claim in claims
    )
