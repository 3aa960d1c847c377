"""Steps, proposals and plans for tests of the engine's parts. Builds values only."""

from __future__ import annotations

from typing import Any

from vfioctl.handoff.notes import HAND_OFF, made
from vfioctl.txn.ordering import Proposed
from vfioctl.txn.plan import Plan, way_back
from vfioctl.txn.step import Lifetime, Phase, Scope, Step, StepProposal, Undo

UUID = "11111111-2222-3333-4444-555555555555"
OTHER = "99999999-2222-3333-4444-555555555555"


def proposal(identifier: str, kind: str = "sysfs.write", plugin: str = "test", **fields: Any) -> Proposed:
    """A proposal whose parameters matter only by being unique."""
    params = fields.pop("params", {"path": f"/sys/{identifier}", "value": "1"})
    return Proposed(plugin, StepProposal(id=identifier, kind=kind, params=params, reason="a test", **fields))


def step(identifier: str, **fields: Any) -> Step:
    """A sysfs.write of "1" with the baseline "0"."""
    defaults: dict[str, Any] = {
        "id": identifier, "kind": "sysfs.write", "params": {"path": f"/sys/{identifier}", "value": "1"},
        "reason": "a test", "phase": Phase.GIVE, "resource": f"sysfs:/sys/{identifier}",
        "baseline": {"value": "0"}, "undo": Undo.EXACT, "scope": Scope.LEASE, "lifetime": Lifetime.BOOT,
        "plugin": "test", "deadline": 2.0,
    }  # fmt: skip
    return Step(**{**defaults, **fields})


def plan(
    *steps: Step, guest: str = "win11", uuid: str = UUID, returns: tuple[Step, ...] = (),
    devices: tuple[str, ...] = ("0000:01:00.0",),
) -> Plan:
    """A plan of `steps` with its way back."""
    return Plan(
        operation=HAND_OFF, subject=guest, key=uuid, steps=steps, returns=returns, way_back=way_back(steps, returns),
        notes=made(devices=list(devices), identities={}, drivers={}, parameters={}),
    )  # fmt: skip
