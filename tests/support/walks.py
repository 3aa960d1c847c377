"""The written list of every step of every scenario, there and back: what the matrices take their cases from.

It is read when tests are collected, so it must be a file; tests/matrix/test_walks.py compares it with what is planned.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hand_offs import SCENARIOS, Scenario

from vfioctl.txn.plan import Action, Part, Plan

GOLDENS = Path(__file__).parent.parent / "matrix" / "goldens"


@dataclass(frozen=True, slots=True)
class Stride:
    """One step on the way there or back; it has two boundaries, 2n-1 after its intent and 2n after its done."""

    number: int  # the first is 1
    kind: str
    step: str
    action: Action = Action.APPLY
    part: Part | None = None  # None on the way there

    @property
    def intent(self) -> int:
        return 2 * self.number - 1

    @property
    def done(self) -> int:
        return 2 * self.number


@dataclass(frozen=True, slots=True)
class Walk:
    """The steps of one scenario in the order in which they are journalled."""

    there: tuple[Stride, ...]
    back: tuple[Stride, ...]

    @property
    def in_hook(self) -> int:
        """How many of the way back libvirt waits for."""
        return sum(stride.part is Part.HOOK for stride in self.back)


def walk(scenario: Scenario) -> Walk:
    """The written walk of `scenario`; empty when it is not written yet."""
    file = GOLDENS / f"{scenario.name}.txt"
    rows = [line.split("  ") for line in file.read_text().splitlines()] if file.exists() else []
    there = [(kind, step) for place, _, kind, step in rows if place == "prepare"]
    back = [(Part(place), Action(action), kind, step) for place, action, kind, step in rows if place != "prepare"]
    return Walk(
        tuple(Stride(number, kind, step) for number, (kind, step) in enumerate(there, 1)),
        tuple(Stride(number, kind, step, action, part) for number, (part, action, kind, step) in enumerate(back, 1)),
    )


def written(plan: Plan) -> str:
    """The walk of `plan` as it is written down."""
    there = [("prepare", Action.APPLY, step.kind, step.id) for step in plan.steps]
    back = [(item.part, item.action, plan.step(item.step).kind, item.step) for item in plan.way_back]
    return "".join("  ".join(map(str, row)) + "\n" for row in (*there, *back))


def each_boundary_there() -> Iterator[tuple[Scenario, int]]:
    """Every boundary of every prepare."""
    for scenario in SCENARIOS:
        yield from ((scenario, number) for number in range(1, 2 * len(walk(scenario).there) + 1))


def each_boundary_back(*, in_hook: bool = False) -> Iterator[tuple[Scenario, int]]:
    """Every boundary of every way back, or of the part that libvirt waits for."""
    for scenario in SCENARIOS:
        known = walk(scenario)
        last = 2 * (known.in_hook if in_hook else len(known.back))
        yield from ((scenario, number) for number in range(1, last + 1))
