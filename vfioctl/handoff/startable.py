"""Whether libvirt and QEMU could start the guest at all: asked before anything is taken from the host. Reads only.

libvirt calls `prepare` before it looks at files, networks and memory, and a session that was ended for a start that
then fails is lost. Said is only what makes a start fail for certain.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from vfioctl.events.model import Needs
from vfioctl.frozen import replace
from vfioctl.handoff import start_host
from vfioctl.handoff.start_model import Start, as_taken
from vfioctl.plugin.types import Finding, Phase, Request, Severity, StepProposal
from vfioctl.txn.kind import kind

WARN, OFF = "warn", "off"  # of the setting; "refuse" is the default
BEFORE_QEMU = (Phase.BEFORE, Phase.GIVE)
# What a program may bring that runs before QEMU does.
BROUGHT = frozenset((
    "start.rom_missing", "start.nvram_template_missing", "start.loader_missing", "start.kernel_missing",
    "start.disk_missing", "start.evdev_missing", "start.file_missing", "start.bridge_missing", "start.network_inactive",
    "start.network_unknown", "start.hugepages", "start.hugepages_unmounted", "start.mediated_missing",
))  # fmt: skip


def start_findings(request: Request, proposals: Iterable[StepProposal]) -> tuple[Finding, ...]:
    """What will make the start of `request` fail although the devices are given; `proposals` are the plan's steps."""
    return needs_findings(request, proposals) if request.devices else ()


def needs_findings(request: Request, proposals: Iterable[StepProposal] = ()) -> tuple[Finding, ...]:
    """The same for a guest that may have no device, and is not being started."""
    needs, wish = request.domain.needs, request.config.preflight
    if needs is None or wish == OFF:
        return ()
    steps = tuple(step for step in proposals if step.phase in BEFORE_QEMU)
    start = Start(request, _expected(needs, incoming=request.incoming), steps)
    found = tuple(_found(start))
    if not found:
        return ()
    bringers = _bringers(request, steps)
    return tuple(_judged(finding, wish, bringers) for finding in found)


def _found(start: Start) -> Iterator[Finding]:
    """What each look finds; one that has nothing to look at is not even imported."""
    needs = start.needs
    if needs.files or start.request.domain.evdev_inputs or start.request.domain.nvram:
        from vfioctl.handoff import start_files

        yield from start_files.look(start)
    if needs.usb or needs.cpu_model or any(dev.mdev_uuid for dev in start.request.domain.hostdevs):
        from vfioctl.handoff import start_devices

        yield from start_devices.look(start)
    if needs.links or needs.networks:
        from vfioctl.handoff import start_networks

        yield from start_networks.look(start)
    if any(share.page is not None for share in needs.memory):
        from vfioctl.handoff import start_pages

        yield from start_pages.look(start)
    yield from start_host.look(start)


def _expected(needs: Needs, *, incoming: bool) -> Needs:
    """A guest that arrives brings its NVRAM along, and its disks may be made while it does."""
    needs = as_taken(needs)
    if not incoming:
        return needs
    files = tuple(file for file in needs.files if file.role not in ("disk", "backing", "nvram_template"))
    return replace(needs, files=files)


def _bringers(request: Request, steps: Iterable[StepProposal]) -> tuple[str, ...]:
    """What else runs before QEMU and may bring what is missing: other hooks, and steps that run programs.

    Nothing can rely on a step whose failure does not fail the start, such as the warning to terminals.
    """
    from vfioctl.host.hooks import hooks  # only where something is missing

    paths = request.host.paths
    others = (path for path in hooks(paths) if os.path.basename(path) != os.path.basename(paths.shim))
    shown = (f"/{os.path.relpath(path, paths.root)}" for path in others)
    return (*shown, *(step.id for step in steps if kind(step.kind).opaque and not step.best_effort))


def _judged(finding: Finding, wish: str, bringers: tuple[str, ...]) -> Finding:
    if finding.severity is not Severity.BLOCK:
        return finding
    if bringers and finding.code in BROUGHT:
        message = f"{finding.message} {bringers[0]} runs before QEMU does and may bring it."
        return replace(finding, message=message, severity=Severity.WARN)
    return replace(finding, severity=Severity.WARN) if wish == WARN else finding
