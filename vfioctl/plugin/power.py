"""Keeps what is given awake, from before its driver goes until it is back. Pure; the only place that proposes so.

Since Linux 5.19 vfio-pci lets a device that nobody has open sleep, down to D3cold where the platform can (7ab5e10eda02,
"vfio/pci: Move the unused device into low power state with runtime PM"): before QEMU opens it, and after it closes it.
Cards are reported not to wake from that ("Unable to change power state from D3cold to D0"). `power/control` = on keeps
a function in D0 (Documentation/ABI/testing/sysfs-devices-power), `d3cold_allowed` = 0 out of D3cold (sysfs-bus-pci).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from vfioctl.checking import TYPE_CHECKING
from vfioctl.host.companions import belongs
from vfioctl.plugin.proposals import write_attribute

if TYPE_CHECKING:
    from vfioctl.host.model import PciDevice
    from vfioctl.plugin.types import Request, StepProposal

CONTROL, AWAKE, ASLEEP = "power/control", "on", "auto"
D3COLD = "d3cold_allowed"


def keep_awake(functions: Iterable[PciDevice], *, before: tuple[str, ...]) -> Iterator[StepProposal]:
    """Keep the functions of a card in D0 and out of D3cold; both values come back as they were.

    Every function, though one in D0 keeps the port awake: a function that sleeps on its own has to wake on its own. The
    port is left alone, it sleeps only when all functions below it do. A value that is right already is written down all
    the same: vfio-pci and the returning driver change it. `bind` keeps the card awake once vfio-pci has it; one that
    cannot leave vfio-pci yet stays awake.
    """
    for function in functions:
        home = {"home": function.driver}
        if function.power_control is not None:
            why = "many cards never wake from a sleep on vfio-pci"
            yield write_attribute(function, CONTROL, AWAKE, why, before, **home)
        if function.d3cold_allowed is not None:
            yield write_attribute(function, D3COLD, "0", "a card in D3cold often cannot be woken", before, **home)


def put_back(device: PciDevice, *, before: tuple[str, ...]) -> Iterator[StepProposal]:
    """For what is no card: it may sleep again afterwards if it might before, since vfio-pci leaves it at "on"."""
    if device.power_control == ASLEEP:
        yield write_attribute(device, CONTROL, AWAKE, "vfio-pci changes it, so it is kept and put back", before)


def is_of_card(device: PciDevice, request: Request | None) -> bool:
    """Whether `device` is a card, or another function of one that is given with it."""
    given = request.devices if request else ()
    return device.is_card or any(other.is_card and belongs(device, other) for other in given)
