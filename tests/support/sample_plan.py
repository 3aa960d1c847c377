"""A plan of a desktop with one card as `vfioctl plan` shows it, with a step of every sort that views know."""

from __future__ import annotations

from typing import Any

from txn_builders import plan, step

from vfioctl.findings import Finding, Severity
from vfioctl.handoff.operation import as_shown
from vfioctl.txn.step import Phase, Scope, Undo

CARD, SOUND = "0000:01:00.0", "0000:01:00.1"


def desktop_plan() -> dict[str, Any]:
    steps = (
        step("inhibit", kind="inhibit.sleep", params={"who": "vfioctl", "why": "win11"}, phase=Phase.BEFORE,
             reason="the host must not sleep while the guest has its card", baseline={"active": False}),
        step("snapshot:vda", kind="disk.snapshot",
             params={"backend": "qcow2", "path": "/var/lib/libvirt/images/w.qcow2"},
             reason="the disk as it is before this start", scope=Scope.TRANSACTION, deadline=60.0),
        step("session", kind="session.end", params={"session": "2", "user": "alice"}, undo=Undo.NONE, deadline=20.0,
             reason="session 2 holds the card", phase=Phase.BEFORE),
        step("dm", kind="unit.stop", params={"unit": "lightdm.service"}, undo=Undo.RECREATED, phase=Phase.BEFORE,
             reason="it shows the login screen on the card", baseline={"active": True}, deadline=30.0),
        step("override", kind="driver.override", params={"address": CARD, "value": "vfio-pci"},
             reason=f"only vfio-pci may bind {CARD} from here on", baseline={"value": None}),
        step("modules", kind="module.unload", params={"modules": ["nvidia_drm", "nvidia_modeset", "nvidia"]},
             reason="an unbind of a card in use never returns", baseline={"modules": ["nvidia"]}),
        step("bind", kind="driver.bind", params={"address": CARD, "driver": "vfio-pci"}, best_effort=True,
             reason="QEMU opens it through vfio-pci", baseline={"driver": "nvidia"}),
    )  # fmt: skip
    condition = {"kind": "path.exists", "args": {"path": "/dev/dri/card0"}}
    wait = step("seen", kind="wait.until", params={"condition": condition}, reason="a compositor is on the card",
                phase=Phase.AFTER)  # fmt: skip
    made = plan(*steps, returns=(wait,))
    findings = (
        Finding("nvidia.identity", f"{CARD} is NVIDIA GeForce RTX 3080.", Severity.INFO),
        Finding("domain.mixed_managed", "The hostdevs mix both modes.", Severity.WARN, "vfioctl enable win11"),
        Finding("holder.alive", "It is held by process 42 (X).", Severity.BLOCK),
    )
    data = {**as_shown(made), "findings": [vars(finding) for finding in findings]}
    return {
        "plan": data, "back": [f"/sys/bus/pci/devices/{CARD}/driver points to nvidia"], "blocked": True,
        "managed": True, "point_of_no_return": made.point_of_no_return,
    }  # fmt: skip
