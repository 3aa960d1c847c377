"""The host checks: a driver whose unbind can hang, and modules of others that keep it loaded. Reads facts only."""

from __future__ import annotations

from collections.abc import Iterator

from vfioctl.plugin import DoctorCheck, Finding, Host, Severity
from vfioctl_nvidia.facts import read_driver
from vfioctl_nvidia.known_bad import known_bad
from vfioctl_nvidia.plugin import ALWAYS, DRIVER, STACK, VENDOR

VERSION = "/sys/module/nvidia/version, /proc/driver/nvidia/version"


def checks() -> tuple[DoctorCheck, ...]:
    """The checks of this plugin."""
    return (
        DoctorCheck("nvidia-driver", "One NVIDIA card can be taken off the driver.", lambda host: tuple(_driver(host))),
        DoctorCheck("nvidia-modules", "NVIDIA's modules can be unloaded.", lambda host: tuple(_modules(host))),
    )


def _driver(host: Host) -> Iterator[Finding]:
    """Where several cards are on the module one of them must be unbound; a single one leaves by an unload."""
    cards = [card.address for card in host.gpus() if (card.vendor, card.driver) == (VENDOR, DRIVER)]
    if len(cards) < 2:  # noqa: PLR2004 -- a card and another one
        return
    version = read_driver(host).version
    shared = f"{' and '.join(cards)} are on the driver nvidia"
    if row := known_bad(version):
        yield Finding(
            "nvidia.known_bad", f"{shared}; with its version {version} {row.what} ({row.source}).", Severity.WARN,
            "Give all of them to one guest, bind the others to another driver at boot, or install another version.",
            evidence=f"{VERSION}: {version}",
        )  # fmt: skip
    elif not version:
        yield Finding(
            "nvidia.unknown_version", f"{shared}, which does not tell its version: a start with one is refused.",
            Severity.WARN, "See the driver with: cat /proc/driver/nvidia/version", evidence=VERSION,
        )  # fmt: skip


def _modules(host: Host) -> Iterator[Finding]:
    """A module that this plugin does not know, above one that it unloads."""
    for name in ALWAYS:
        module = host.module(name)
        for holder in (one for one in (module.holders if module else ()) if one not in STACK):
            yield Finding(
                "module.used", f"The module {holder} uses {name}, so that this cannot be unloaded for a guest.",
                Severity.WARN, f"Unload it before, or do without it: modprobe -r {holder}",
                evidence=f"/sys/module/{name}/holders/{holder}",
            )  # fmt: skip
