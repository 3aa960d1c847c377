"""device.detach: takes a device from a guest: now, from its next start on, or both.

A running guest lets go of a device by itself, or not at all: its absence is waited for. The wish cannot be taken back:
QEMU carries it out when the guest answers, or is reset. The undo attaches it again, as
another device to the guest.
"""

from __future__ import annotations

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import StepFailed, StepRefused
from vfioctl.kinds.libvirt.devices import (
    CONFIG,
    LIVE,
    device_of,
    flags,
    identity,
    must_have_places,
    plain,
    present,
    same,
)
from vfioctl.kinds.libvirt.domains import URI, Domain, DomainChange, known_as, on, text
from vfioctl.txn.blobs import BLOB
from vfioctl.txn.shape import UUID, Shape, many, one_of
from vfioctl.txn.step import State, Undo
from vfioctl.wait import Backoff

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from vfioctl.paths import Paths
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Json, Step


PATIENCE = 0.9  # of the time of a step: with its end the engine would end it, and nobody would say what is pending
PENDING = "already in the process of unplug"  # QEMU's words for a wish that it has (qdev-monitor.c); no code says so


class DeviceDetach(DomainChange):
    """{uri, uuid, blob, where}: blob: the name of the XML of the device as the guest has it now; where: "live",
    "config", or both"""

    name = "device.detach"
    summary = "Takes a disk, a network card or a USB device from a guest; attached again only on failure."
    undo_class = Undo.RECREATED
    takes = Shape(uri=URI, uuid=UUID, blob=BLOB, where=many(one_of(LIVE, CONFIG)))
    goes_on = (State.AFTER, State.BETWEEN)

    def put_back(self, params: Json) -> str:  # noqa: ARG002
        return "it is attached again"

    def must_fit(self, params: Json, domain: Domain, machine: Machine) -> None:
        wanted, handle = device_of(text(machine.paths, params["blob"])), domain.handle
        must_have_places(handle, frozenset(params["where"]))
        found = [present(handle, wanted, place) for place in params["where"]]
        if any(one is None or not same(one, wanted) for one in found):
            said = f"The {identity(wanted)} of guest {handle.name()} was changed since this was planned, or is gone."
            raise StepRefused("device.changed", said, hints=("Look at it, then plan it once more.",))

    def state(self, step: Step, paths: Paths, domain: Domain) -> State:
        if (handle := domain.found) is None:
            return State.FOREIGN
        wanted = device_of(text(paths, step.params["blob"]))
        found = [present(handle, wanted, place) for place in step.params["where"]]
        if any(one is not None and not same(one, wanted) for one in found):
            return State.FOREIGN
        there = sum(one is not None for one in found)
        return State.BEFORE if there == len(found) else State.BETWEEN if there else State.AFTER

    def apply(self, step: Step, machine: Machine) -> str | None:
        """Raises StepFailed("guest.holds") where the running guest does not let go of it in time."""
        wanted = device_of(text(machine.paths, step.params["blob"]))
        return detach(step, machine, wanted, frozenset(step.params["where"]))

    def undo(self, step: Step, machine: Machine) -> str | None:
        return on(step, machine, lambda domain: _attach_again(step, machine, domain))

    def foreign(self, step: Step, machine: Machine) -> str:
        name = identity(device_of(text(machine.paths, step.params["blob"])))
        return f"The {name} of the guest {step.params['uuid']} is another one now, or the guest is gone. It stays so."


def detach(step: Step, machine: Machine, wanted: Element, places: frozenset[str]) -> str | None:
    """Take it from the running guest first: one that does not let go keeps it in its configuration as well."""
    left = on(step, machine, lambda domain: _left(domain, wanted, places))
    if not left:
        return "it does not have it"
    if LIVE in left:
        _let_go(step, machine, wanted)
    if CONFIG in left:
        on(step, machine, lambda domain: _detach(domain, wanted, CONFIG))
    return None


def _left(domain: Domain, wanted: Element, places: frozenset[str]) -> frozenset[str]:
    found = domain.found
    return frozenset(place for place in places if found is not None and present(found, wanted, place) is not None)


def _let_go(step: Step, machine: Machine, wanted: Element) -> None:
    """Ask the guest once, as QEMU takes the wish once, and wait until it has let go."""
    on(step, machine, lambda domain: _wish(domain, wanted))
    for _ in Backoff(step.deadline * PATIENCE):
        machine.checkpoint()
        if not on(step, machine, lambda domain: _left(domain, wanted, frozenset((LIVE,)))):
            return
    device = identity(wanted)
    raise StepFailed(
        "guest.holds", f"Guest {known_as(step, machine)} has not let go of the {device} in time.",
        state=f"QEMU has the wish still: the running guest loses the {device} when it answers, or at its next reset.",
        hints=("Let it go in the guest, unmounted or set down, then try again.",),
    )  # fmt: skip


def _wish(domain: Domain, wanted: Element) -> None:
    import libvirt

    try:
        _detach(domain, wanted, LIVE)
    except libvirt.libvirtError as error:
        if PENDING not in str(error):
            raise


def _detach(domain: Domain, wanted: Element, place: str) -> None:
    found = present(domain.handle, wanted, place)
    if found is not None:
        domain.handle.detachDeviceFlags(plain(found), flags(frozenset((place,))))


def _attach_again(step: Step, machine: Machine, domain: Domain) -> str | None:
    wanted, handle = device_of(text(machine.paths, step.params["blob"])), domain.handle
    places = [place for place in step.params["where"] if present(handle, wanted, place) is None]
    back = frozenset(place for place in places if place == CONFIG or handle.isActive())
    if not back:
        return "it has it still"
    handle.attachDeviceFlags(plain(wanted), flags(back))
    return None


KIND = DeviceDetach()
