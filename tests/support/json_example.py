"""Makes an example for the reference out of the JSON of a real run: short, and the same on every machine and day."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import vfioctl

NOW = 1795256130.0  # 2026-11-21T10:15:30Z
SECONDS = 0.05
FIRST_SIMULATED_PID = 5_000_000
PROCESSES = ("pid", "process", "qemu")
SETTINGS = ("deadline", "prepare", "undo", "release", "finish")  # floats that are chosen, not measured
PAIRS = ("dhcp",)  # lists of a first and a last
LONGEST = 100
OPERATION = re.compile("[0-9a-f]{8}")  # the id of a hand-off, made up for each

UUID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")  # of an operation: made up likewise


def example(value: Any, root: str, key: str = "") -> Any:
    """`value` with one item of each list, fixed times and pids, and the paths of an installation in /opt/vfioctl."""
    match value:
        case dict():
            return {name: example(item, root, name) for name, item in value.items()}
        case list():
            return [example(item, root, key) for item in value[: 2 if key in PAIRS else 1]]
        case str() if key == "operation" and OPERATION.fullmatch(value):
            return "3f9ac2d1"
        case str() if key == "key" and UUID.fullmatch(value):
            return "5a0c1d8e-6b7f-4c2a-9d3e-1f2a3b4c5d6e"
        case str() if key == "id" and OPERATION.fullmatch(value):
            return "3f9ac2d1"
        case str():
            return _text(value, root)
        case bool():
            return value
        case float() if key not in SETTINGS:
            return NOW if value > NOW / 2 else SECONDS
        case int() if key in PROCESSES and value < FIRST_SIMULATED_PID:
            return 4711
    return value


def _text(text: str, root: str) -> str:
    for place, shown in _places(root):
        text = text.replace(place, shown)
    text = re.sub(r"\d{8}T\d{6}", "20261121T101530", text)
    text = re.sub(r"python3\.\d+", "python3.11", text)
    return f"{text[:LONGEST].rstrip()} …" if len(text) > LONGEST and "\n" in text else text


def _places(root: str) -> Iterator[tuple[str, str]]:
    yield root, ""
    yield str(Path(vfioctl.__file__).parents[1]), "/opt/vfioctl/lib/python3.11/site-packages"
    yield sys.prefix, "/opt/vfioctl"
    yield str(Path(root).parent), "/root"
