"""What speaks against giving one function to a guest, whoever names it. Refusals and advice are both made from this.

No plugin changes the answer, and of the settings only `allow_in_use` does.
"""

from __future__ import annotations

from collections.abc import Iterable

from vfioctl.checking import TYPE_CHECKING
from vfioctl.plugin.types import Finding, Severity

if TYPE_CHECKING:
    from vfioctl.host.dependents import Dependent
    from vfioctl.host.host import Host
    from vfioctl.host.model import PciDevice

PCI_BRIDGES = (0x0604, 0x0609)  # with a bus behind them
IN_USE = {"virtual": "device.virtual_in_use", "mediated": "device.mediated_in_use"}
VANISHES = {"virtual": "device.virtual_vanishes", "mediated": "device.mediated_vanishes"}
WORDS = {"virtual": "virtual function", "mediated": "mediated device"}


def findings(
    device: PciDevice, host: Host, given: Iterable[str] = (), allowed: Iterable[str] = ()
) -> tuple[Finding, ...]:
    """What is to be said about giving `device` together with `given`; `allowed` are the addresses of `allow_in_use`."""
    if device.is_bridge:
        return (_bridge(device),)
    return (*_findings(device, host, frozenset(given), frozenset(allowed)), *_vanishing(device, host))


def against(
    device: PciDevice, host: Host, given: Iterable[str] = (), allowed: Iterable[str] = ()
) -> tuple[Finding, ...]:
    """Why `device` must stay with the host; empty where it may go."""
    return tuple(item for item in findings(device, host, given, allowed) if item.severity is Severity.BLOCK)


def _findings(device: PciDevice, host: Host, given: frozenset[str], allowed: frozenset[str]) -> Iterable[Finding]:
    if not (device.is_display or device.is_audio):
        from vfioctl.plugin import in_use  # a card alone has neither disks nor interfaces

        for address in (device.address, *device.virtual):
            yield from in_use.findings(host, address, {address} if device.address in allowed else allowed)
    if virtual := tuple(address for address in device.virtual if address in given):
        yield _physical(device, virtual)
    yield from (_in_use(device, item) for item in host.dependents(device.address) if item.users)


def _vanishing(device: PciDevice, host: Host) -> tuple[Finding, ...]:
    """A warning for each thing that goes with the driver of `device` although nobody uses it now."""
    unused = (item for item in host.dependents(device.address) if not item.users)
    return tuple(
        Finding(
            VANISHES[item.kind],
            f"The {WORDS[item.kind]} {item.name} of {device.address} vanishes with its driver; {_nobody(item, host)}.",
            Severity.WARN,
        )
        for item in unused
    )


def _nobody(item: Dependent, host: Host) -> str:
    from vfioctl.host import network_nodes  # few functions have anything that vanishes

    if above := network_nodes.above(host.paths, item.name):
        return f"{', '.join(above)} is above its interface"
    if host.traffic(item.name):
        return "the host's network uses it"
    return "whether a guest uses it could not be seen without root" if item.unseen else "nobody uses it now"


def _bridge(device: PciDevice) -> Finding:
    behind = device.kind in PCI_BRIDGES
    return Finding(
        "device.bridge", f"{device.address} is a bridge; bridges stay with the host.",
        hint="Name the device behind it instead; see: vfioctl gpu list" if behind else "Remove it from the guest.",
    )  # fmt: skip


def _physical(device: PciDevice, virtual: tuple[str, ...]) -> Finding:
    return Finding(
        "device.physical",
        f"{device.address} is the physical function of {', '.join(virtual)}, which the guest gets too and which "
        "vanishes with its driver.",
        hint="Give either the physical function or its virtual ones.",
    )


def _in_use(device: PciDevice, item: Dependent) -> Finding:
    users, what = ", ".join(item.users), WORDS[item.kind]
    return Finding(
        IN_USE[item.kind],
        f"{device.address} has the {what} {item.name}, which {users} uses and which vanishes with its driver.",
        hint=f"Stop {users} first.",
    )
