"""The containers that a guest file lists, and those that end with a unit it lists. Proposes steps; changes nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import VfioctlError
from vfioctl.findings import Finding, Severity
from vfioctl.frozen import frozen
from vfioctl.host import container_tools, processes
from vfioctl.host.containers import DOCKER, KUBERNETES, NERDCTL, PODMAN, live_restore, named, user_of
from vfioctl.txn.step import Frees, Phase, StepProposal

if TYPE_CHECKING:
    from vfioctl.host.container_tools import Seen, Which
    from vfioctl.host.host import Host
    from vfioctl.host.model import Unit
    from vfioctl.plugin.types import Request

SECONDS = 20.0  # of which container.stop gives it 12 to end by itself
DOCKER_UNITS = ("docker.service", "snap.docker.dockerd.service")
# Listed in vain: what runs the containers is another process, which goes on.
IN_VAIN = {
    "containerd.service": ((DOCKER, NERDCTL, KUBERNETES), "they belong to shims of their own"),
    "podman.service": ((PODMAN,), "podman has no daemon; a conmon of its own holds each"),
}


@frozen
class Chosen:
    """What follows from the guest file: steps, what is to be said, and who may be made to let go.

    `ids` are the containers that the steps stop, `daemons` the listed units whose containers end with them.
    """

    proposals: tuple[StepProposal, ...] = ()
    findings: tuple[Finding, ...] = ()
    ids: frozenset[str] = frozenset()
    daemons: frozenset[str] = frozenset()


def chosen(request: Request) -> Chosen:
    """What the settings `containers` and `units` of `request` mean for containers now."""
    proposals: list[StepProposal] = []
    kept = {unit: _kept_by(unit, request) for unit in DOCKER_UNITS if unit in request.config.units}
    findings = list(_about_daemons(request, kept))
    for entry in request.config.containers:
        found = _find(entry, request.host)
        if isinstance(found, Finding):
            findings.append(found)
        else:
            uid = user_of(request.host.paths, found[0].user)[1] if found[0].user else None
            proposals.append(_stop(entry, *found, uid))
    ids = frozenset(str(release.container) for step in proposals for release in step.promises if release.container)
    return Chosen(tuple(proposals), tuple(findings), ids, frozenset(unit for unit, why in kept.items() if not why))


def _find(entry: str, host: Host) -> tuple[Which, Seen] | Finding:
    """The container that `entry` names, or why none of that name is stopped.

    A tool that does not tell, as one without its daemon, keeps none of another tool from being found.
    """
    tools = tuple(tool for tool in container_tools.TOOLS if host.programs.find(tool))
    silent: VfioctlError | None = None
    for which in container_tools.which(entry, tools):
        try:
            seen = host.container(which)
        except VfioctlError as error:
            silent = silent or error
            continue
        if seen:
            return _removed(which) if seen.auto_remove and not seen.unit else (which, seen)
    return _unreadable(silent) if silent else _unknown(entry)


def _unreadable(error: VfioctlError) -> Finding:
    hint = error.hints[0] if error.hints else ""
    return Finding("container.unreadable", error.message, Severity.WARN, hint=hint)


def _removed(which: Which) -> Finding:
    return Finding(
        "container.auto_remove",
        f"The {which.title} is removed when it stops (--rm), so nothing could start it again: it is left alone.",
        Severity.WARN, hint="Make it without --rm, or let a unit of systemd start it and list that under units.",
    )  # fmt: skip


def _unknown(entry: str) -> Finding:
    return Finding(
        "container.unknown", f"There is no container {entry}, which the guest file lists, or its daemon does not run.",
        Severity.WARN, hint="See which there are with: docker ps -a, or: podman ps -a",
    )  # fmt: skip


def _stop(entry: str, which: Which, seen: Seen, uid: int | None) -> StepProposal:
    """The stop of the container, or of the unit that made it: only that one starts it again as it was."""
    params: dict[str, str | int] = {"tool": which.tool, "name": which.name}
    if seen.unit:
        params = {"unit": seen.unit} if uid is None else {"unit": seen.unit, "uid": uid}
    elif which.user:
        params["user"] = which.user
    return StepProposal(
        id=f"container.stop:{entry}", kind="unit.stop" if seen.unit else "container.stop", params=params,
        reason="the guest file lists it under containers", phase=Phase.BEFORE, deadline=SECONDS,
        before=tuple(f"unit.stop:{unit}" for unit in DOCKER_UNITS), frees=(Frees(container=seen.id, uid=uid),),
    )  # fmt: skip


def _kept_by(unit: str, request: Request) -> str:
    """Why Docker's containers would go on when its listed `unit` is stopped; "" when they end with it."""
    daemons = dict(zip(DOCKER_UNITS, request.host.units(DOCKER_UNITS), strict=True))
    if not daemons[unit].is_active:
        return "it does not run"
    if other := next((it for it in daemons if daemons[it].is_active and it not in request.config.units), None):
        return f"{other} runs too, and they may be of that one"
    argv = _argv(daemons[unit], request.host)
    return "it was told to leave them (live-restore)" if live_restore(request.host.paths, argv) else ""


def _argv(unit: Unit, host: Host) -> tuple[str, ...]:
    """How the daemon of `unit` was started: its options may come from /etc/default/docker, or from the snap."""
    words = processes.arguments(host.paths, (unit.main_pid,)) if unit.main_pid else {}
    return tuple(os.fsdecode(word) for word in words.get(unit.main_pid, ()))


def _about_daemons(request: Request, kept: Mapping[str, str]) -> Iterator[Finding]:
    """What a listed daemon's stop means for the containers that hold the devices; `kept` says why they go on."""
    listed: dict[str, tuple[tuple[str, ...], str]] = {unit: ((DOCKER,), why) for unit, why in kept.items()}
    listed |= {unit: said for unit, said in IN_VAIN.items() if unit in request.config.units}
    if not listed:
        return
    inside = named(request.host.paths, request.host.holders(device.address for device in request.devices)).values()
    for unit, (kinds, why) in sorted(listed.items()):
        if names := ", ".join(sorted(one.title for one in inside if one.runtime in kinds and not one.user)):
            yield _goes_on(unit, names, why) if why else _ends_with(unit, names)


def _ends_with(unit: str, names: str) -> Finding:
    return Finding(
        "container.ends_with",
        f"Container {names} ends with {unit}; afterwards Docker starts again those that have a restart policy.",
        Severity.INFO, hint="Name a container under containers instead, and only that one is stopped and started.",
    )  # fmt: skip


def _goes_on(unit: str, names: str, why: str) -> Finding:
    return Finding(
        "container.goes_on", f"Container {names} goes on when {unit} is stopped: {why}.", Severity.WARN,
        hint="Name the container under containers in the guest file instead of the unit.",
    )  # fmt: skip
