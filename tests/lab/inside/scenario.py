"""What makes a function a scenario: the mark, what it needs of the machine, and how it is found. Changes nothing.

Imported outside too, where scenarios are listed and drawn into shards.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

HERE = os.path.dirname(os.path.abspath(__file__))
PACKAGE = "tests.lab.scenarios"
STARTS = ("installed", "base", "boot")

Body = Callable[[Any], None]


@dataclass(frozen=True, slots=True)
class Scenario:
    """One scenario, by name FAMILY.FUNCTION with dashes."""

    name: str
    title: str
    body: str
    seconds: int = 60
    start: str = "installed"
    standins: bool = False
    append: str = ""
    devices: tuple[str, ...] = ()

    @property
    def family(self) -> str:
        return self.name.partition(".")[0]

    @property
    def module(self) -> str:
        return f"{PACKAGE}.{self.family.replace('-', '_')}"


def scenario(
    *, seconds: int, start: str = "installed", standins: bool = False, append: str = "", devices: Iterable[str] = ()
) -> Callable[[Body], Body]:
    """Mark a function of a module in scenarios/ as one; its docstring's first line is its title.

    seconds   what it takes on two free processors; four times that is its deadline
    start     "installed": resumed with vfioctl installed and its guest defined; "base": resumed without either;
              "boot": booted from the power button, installed, with `append` on the kernel's command line and
              `devices` (QEMU -device arguments) in the machine; one with drive=copy has a copy of its disk
    standins  the stand-in kernel modules lie in /lab/standins
    """
    if start not in STARTS:
        raise ValueError(f"start is one of {', '.join(STARTS)}")
    if (append or devices) and start != "boot":
        raise ValueError('append and devices need start="boot": a saved machine cannot change')

    def mark(body: Body) -> Body:
        family = body.__module__.rpartition(".")[2]
        found = Scenario(
            f"{family}.{body.__name__}".replace("_", "-"), (body.__doc__ or "").partition("\n")[0], body.__name__,
            seconds, start, standins, append, tuple(devices),
        )  # fmt: skip
        body.scenario = found  # type: ignore[attr-defined]
        return body

    return mark


def every() -> tuple[Scenario, ...]:
    """All scenarios: smoke first, then by family, in the order of each file."""
    directory = os.path.join(os.path.dirname(HERE), "scenarios")
    families = sorted(name[:-3] for name in os.listdir(directory) if name.endswith(".py"))
    families.sort(key=lambda name: name != "smoke")
    return tuple(found for family in families for found in of_family(family))


def of_family(family: str) -> list[Scenario]:
    module = importlib.import_module(f"{PACKAGE}.{family}")
    return [value.scenario for value in vars(module).values() if hasattr(value, "scenario")]
