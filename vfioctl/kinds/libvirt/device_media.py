"""device.media: puts another medium into a CD or floppy drive of a guest, or takes it out: now, for good, or both.

The guest may have locked the tray: libvirt waits for it a while, and refuses then.
"""

from __future__ import annotations

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import StepRefused
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
from vfioctl.kinds.libvirt.domains import URI, Domain, PartChange, on, text
from vfioctl.txn.blobs import BLOB
from vfioctl.txn.shape import FLAG, UUID, Shape, many, one_of, optional
from vfioctl.txn.step import State, Undo

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from vfioctl.paths import Paths
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Json, Step


class DeviceMedia(PartChange):
    """{uri, uuid, blob, former, where, force?}: blob, former: the names of the XML of the drive as it is to be and as
    it is now; where: "live", "config", or both; force: also where the guest has locked the tray"""

    name = "device.media"
    summary = "Changes the medium in a drive of a guest; the former one is put back only on failure."
    undo_class = Undo.EXACT
    takes = Shape(uri=URI, uuid=UUID, blob=BLOB, former=BLOB, where=many(one_of(LIVE, CONFIG)), force=optional(FLAG))
    goes_on = (State.AFTER, State.BETWEEN)

    def resource(self, params: Json) -> str:
        """A plan may be about a drive as it runs, and as it is configured, each with a former medium of its own."""
        return f"media:{params['uuid']}/{'+'.join(params['where'])}"

    def put_back(self, params: Json) -> str:  # noqa: ARG002
        return "the former medium is put back"

    def must_fit(self, params: Json, domain: Domain, machine: Machine) -> None:
        former, handle = device_of(text(machine.paths, params["former"])), domain.handle
        must_have_places(handle, frozenset(params["where"]))
        found = [present(handle, former, place) for place in params["where"]]
        if any(one is None or not same(one, former) for one in found):
            said = f"The {identity(former)} of guest {handle.name()} was changed since this was planned, or is gone."
            raise StepRefused("device.changed", said, hints=("Look at it, then plan it once more.",))

    def state(self, step: Step, paths: Paths, domain: Domain) -> State:
        if (handle := domain.found) is None:
            return State.FOREIGN
        wanted, former = _both(step, paths)
        places = [place for place in step.params["where"] if place == CONFIG or handle.isActive()]
        found = [present(handle, wanted, place) for place in places]
        if any(one is None or not (same(one, wanted) or same(one, former)) for one in found):
            return State.FOREIGN
        done = sum(one is not None and same(one, wanted) for one in found)
        return State.AFTER if done == len(found) else State.BETWEEN if done else State.BEFORE

    def apply(self, step: Step, machine: Machine) -> str | None:
        wanted, _ = _both(step, machine.paths)
        return on(step, machine, lambda domain: _change(step, domain, wanted))

    def undo(self, step: Step, machine: Machine) -> str | None:
        _, former = _both(step, machine.paths)
        return on(step, machine, lambda domain: _change(step, domain, former))

    def foreign(self, step: Step, machine: Machine) -> str:
        wanted, _ = _both(step, machine.paths)
        return f"Somebody else has changed the {identity(wanted)} of the guest {step.params['uuid']}; it stays so."


def _both(step: Step, paths: Paths) -> tuple[Element, Element]:
    """The drive as it is to be, and as it was."""
    return device_of(text(paths, step.params["blob"])), device_of(text(paths, step.params["former"]))


def _change(step: Step, domain: Domain, wanted: Element) -> str | None:
    import libvirt

    handle = domain.handle
    force = libvirt.VIR_DOMAIN_DEVICE_MODIFY_FORCE if step.params.get("force", False) else 0
    left = [place for place in (CONFIG, LIVE) if place in step.params["where"] and _is_other(handle, wanted, place)]
    for place in left:
        handle.updateDeviceFlags(plain(wanted), flags(frozenset((place,))) | (force if place == LIVE else 0))
    return None if left else "it has that medium already"


def _is_other(handle: object, wanted: Element, place: str) -> bool:
    found = present(handle, wanted, place)
    return found is not None and not same(found, wanted)


KIND = DeviceMedia()
