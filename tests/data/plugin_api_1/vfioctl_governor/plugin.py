"""Sets the frequency governor of every CPU policy before a guest starts; the core puts the old ones back."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from vfioctl.plugin.markers import hookimpl
from vfioctl.plugin.types import Finding, Phase, Request, Severity, StepProposal

if TYPE_CHECKING:
    from vfioctl.host.host import Host

NAME = "governor"
POLICIES = "/sys/devices/system/cpu/cpufreq"


@hookimpl
def vfioctl_pre_start(request: Request) -> Iterable[StepProposal]:
    """One step for each policy whose kernel knows the wanted governor. Nothing is written here: the core does it."""
    wanted = request.config.table(NAME)["governor"]
    for policy in policies(request.host):
        if wanted in available(request.host, policy):
            yield StepProposal(
                id=f"{NAME}.{policy}",
                kind="sysfs.write",
                params={"path": f"{POLICIES}/{policy}/scaling_governor", "value": wanted},
                reason="the guest's CPUs are to run at full speed",
                phase=Phase.BEFORE,
                best_effort=True,  # a guest that starts slower is better than one that does not start
            )


@hookimpl
def vfioctl_preflight(request: Request) -> Iterable[Finding]:
    """Say so when there is nothing to be done."""
    wanted = request.config.table(NAME)["governor"]
    if not any(wanted in available(request.host, policy) for policy in policies(request.host)):
        yield Finding(
            "governor.unavailable",
            f"No CPU of this host can be set to the governor {wanted}.",
            Severity.WARN,
            hint=f"See what there is with: cat {POLICIES}/policy0/scaling_available_governors",
        )


def policies(host: Host) -> tuple[str, ...]:
    """The frequency policies, "policy0" and so on; none where the kernel does not scale frequencies."""
    try:
        names = os.listdir(host.paths.at(POLICIES))
    except OSError:
        return ()
    return tuple(sorted(name for name in names if name.startswith("policy")))


def available(host: Host, policy: str) -> tuple[str, ...]:
    """The governors that the kernel offers for `policy`."""
    try:
        with open(host.paths.at(POLICIES, policy, "scaling_available_governors"), encoding="ascii") as file:
            return tuple(file.read().split())
    except OSError:
        return ()
