"""The checks of the core and those of plugins, and the run of them all. What fails costs its own check only."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from vfioctl import guard
from vfioctl.doctor import (
    boot,
    daemon,
    deep,
    display,
    drivers,
    early,
    firmware,
    groups,
    guests,
    holders,
    iommu,
    power,
    processor,
    versions,
)  # fmt: skip
from vfioctl.findings import Finding, Severity
from vfioctl.frozen import frozen, replace
from vfioctl.host.host import Host
from vfioctl.plugin.manager import Plugins
from vfioctl.plugin.results import many
from vfioctl.plugin.types import DoctorCheck
from vfioctl.setup.verify import verify

if TYPE_CHECKING:
    from vfioctl.compose import Composition
    from vfioctl.plugin.types import PluginInfo

CORE = "core"
WORST = (Severity.BLOCK, Severity.WARN, Severity.INFO)


@frozen
class Checked:
    """A check that was run: what it is about, who brings it, and what it found."""

    name: str
    summary: str
    source: str
    findings: tuple[Finding, ...]

    @property
    def worst(self) -> Severity | None:
        """The severity of the worst finding; None where all is well."""
        found = {finding.severity for finding in self.findings}
        return next((severity for severity in WORST if severity in found), None)


def checks(composition: Composition) -> tuple[DoctorCheck, ...]:
    """The checks of the core, in the order in which they build on each other."""
    return (
        _check("processor", "The processor and the kernel can run guests.", processor.findings),
        _check("iommu", "The IOMMU is on, and its groups are true.", iommu.findings),
        _check("drivers", "The kernel has the drivers, and nobody takes cards at boot.", drivers.findings),
        _check("boot", "Nothing of the boot is left on a card.", boot.findings),
        _check("next-boot", "No file gives cards away at the next boot.", early.findings),
        _check("groups", "Each card can be given without others of its group.", groups.findings),
        _check("display", "There is a way in while a guest has the card.", display.findings),
        _check("firmware", "There is UEFI firmware for guests.", firmware.findings),
        _check("holders", "Nobody has a card open now.", holders.findings),
        _check("guests", "The definitions of guests fit their cards.", guests.findings),
        _check("power", "The host stays awake while a guest has a card.", power.findings),
        _check("versions", "libvirt and QEMU are versions that are proven.", versions.findings),
        _check("daemon", "libvirt's daemon lets its hooks work.", daemon.findings),
        _check("hook", "libvirt calls the hook, and no other one interferes.", lambda _host: verify(composition)),
    )


def _check(name: str, summary: str, find: Callable[[Host], Iterable[Finding]]) -> DoctorCheck:
    return DoctorCheck(name, summary, lambda host: tuple(find(host)))


DEEP = _check("deep", "A guest runs, with KVM.", deep.findings)


def examine(composition: Composition, infos: Iterable[PluginInfo], *further: DoctorCheck) -> tuple[Checked, ...]:
    """Every check of the core, `further` ones, and those of the plugins `infos`."""
    host, plugins = Host(composition.paths, composition.programs), Plugins(infos)
    own = [(CORE, check) for check in (*checks(composition), *further)]
    done = [_run(source, check, host) for source, check in (*own, *plugins.doctor_checks())]
    if plugins.findings:
        done.append(Checked("plugins", "Every plugin can be asked.", CORE, plugins.findings))
    return tuple(done)


def _run(source: str, check: DoctorCheck, host: Host) -> Checked:
    called = guard.call(lambda: many(Finding)(check.run(host)))
    found: tuple[Finding, ...] = called.value or ()
    if called.problem:
        said = f"The check {check.name} of {source} could not be made: {called.problem}."
        found = (Finding("doctor.failed", said, Severity.WARN, hint="See: vfioctl plugins list"),)
    named = tuple(finding if source == CORE else replace(finding, source=source) for finding in found)
    return Checked(check.name, check.summary, source, named)
