"""How one step is named on the screen, from its journalled data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vfioctl.cli.render.tables import words
from vfioctl.kinds.conditions import describe
from vfioctl.txn.kind import kind
from vfioctl.txn.step import Condition

Step = Mapping[str, Any]
SYSFS = "/sys/bus/pci/devices/"
UNDO: Mapping[str, str] = {"exact": "exact", "recreated": "recreated", "none": "never"}
SCOPE: Mapping[str, str] = {"lease": "guest stops", "transaction": "start fails"}


def subject(step: Step) -> str:
    """What the step acts on: the shortest text that names it."""
    params: Mapping[str, Any] = step["params"]
    if about := kind(step["kind"]).about:
        return about
    for key in ("address", "unit", "user", "comm", "name", "path", "source", "device"):
        if params.get(key):
            return str(params[key]).removeprefix(SYSFS).removesuffix(".service")
    if params.get("condition"):
        return describe(Condition(**params["condition"]))
    if params.get("argv"):
        return short(" ".join(params["argv"]))
    if params.get("modules"):
        return words(params["modules"])
    if params.get("module"):
        return str(params["module"])
    return str(step.get("resource", "")).partition(":")[2].removesuffix(".service")


def short(text: str, longest: int = 60) -> str:
    """`text` cut to what a cell should hold."""
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def toward(step: Step) -> str:
    """Where the step brings its subject to, when that is one word."""
    value = step["params"].get("driver") or step["params"].get("value")
    return f" → {value}" if isinstance(value, str) and value.strip() else ""


def undone(step: Step) -> str:
    """How far the undo restores what was; a wait changes nothing, and a command without its opposite is for good."""
    form = kind(step["kind"])
    return "nothing" if form.passive else UNDO[form.undo_of(step["params"])]


def until(step: Step) -> str:
    """When it is undone: `-` where there is nothing that an undo would do."""
    return "-" if undone(step) in ("never", "nothing") else SCOPE.get(step["scope"], str(step["scope"]))
