"""The host checks: kernels that a hand-off of an AMD card harms, and cards that cannot be reset. Reads facts only."""

from __future__ import annotations

from collections.abc import Iterator

from vfioctl.plugin import DoctorCheck, Finding, Host, PciDevice, Severity
from vfioctl_amdgpu.family import Family, family, has_vendor_reset
from vfioctl_amdgpu.known_bad import BY_UNBIND, BY_UNLOAD, known_bad
from vfioctl_amdgpu.plugin import DEVICE_SPECIFIC, DRIVER, VENDOR

MODULE = "vendor_reset"


def checks() -> tuple[DoctorCheck, ...]:
    """The checks of this plugin."""
    return (
        DoctorCheck("amdgpu-kernel", "The kernel lets AMD cards go.", lambda host: tuple(_kernel(host))),
        DoctorCheck("amdgpu-reset", "AMD cards can be reset after a guest.", lambda host: tuple(_reset(host))),
    )


def _cards(host: Host) -> Iterator[PciDevice]:
    return (card for card in host.gpus() if card.vendor == VENDOR)


def _kernel(host: Host) -> Iterator[Finding]:
    """A note on processor graphics, and on the unload that a setting may ask for; a warning on the way by default."""
    for card in (card for card in _cards(host) if card.driver == DRIVER):
        kin = family(card, host.functions(card.address))
        if kin is Family.APU:
            yield Finding(
                "amdgpu.apu", f"{card.address} is part of the processor: it is not handed over by default.",
                Severity.INFO, "Nothing; give guests another card.", evidence=f"/sys/bus/pci/devices/{card.address}",
            )  # fmt: skip
        else:
            yield from _bad(card, kin, host)


def _bad(card: PciDevice, kin: Family, host: Host) -> Iterator[Finding]:
    release = host.kernel_release()
    for way, severity, hint in (
        (BY_UNBIND, Severity.WARN, "Choose another kernel."),
        (BY_UNLOAD, Severity.INFO, "Nothing, while amdgpu.unload stays false, as it is by default."),
    ):
        if row := known_bad(release, kin, way):
            yield Finding(
                "amdgpu.known_bad", f"{card.address}: on kernel {release} {row.what} ({row.family}; {row.source}).",
                severity, hint, evidence=f"/proc/sys/kernel/osrelease: {release}",
            )  # fmt: skip


def _reset(host: Host) -> Iterator[Finding]:
    """Cards that only vendor-reset can reset, without it: the next start finds them as the guest left them."""
    for card in _cards(host):
        if has_vendor_reset(card) and DEVICE_SPECIFIC not in card.reset_methods and host.module(MODULE) is None:
            yield Finding(
                "amdgpu.no_reset",
                f"{card.address} [{card.vendor:04x}:{card.device:04x}] cannot be reset without vendor-reset: after a "
                "guest it may hang until the host restarts.",
                Severity.WARN, "Install the module vendor-reset (github.com/gnif/vendor-reset), and load it at boot.",
                evidence=f"/sys/bus/pci/devices/{card.address}/reset_method: {' '.join(card.reset_methods) or 'none'}",
            )  # fmt: skip
