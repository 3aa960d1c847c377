"""The domain that a step is about, and what the kinds share that change one."""

from __future__ import annotations

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import StepFailed, StepRefused
from vfioctl.kinds.libvirt.change import URI, Change
from vfioctl.txn import blobs
from vfioctl.txn.shape import Form, is_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    from vfioctl.paths import Paths
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Json, Step
    from vfioctl.virt.connection import Connection

    T = TypeVar("T")

__all__ = [
    "SNAPSHOT", "URI", "Domain", "DomainChange", "PartChange", "SnapshotChange", "afresh", "asked", "is_paused",
    "known_as", "must_run", "on", "text",
]  # fmt: skip
SNAPSHOT = Form("the name of a snapshot", lambda value: is_text(value) and value != "" and "/" not in value)


class Domain:
    """A domain by its UUID, on an open connection. Each of its methods asks libvirt; raises libvirtError."""

    def __init__(self, connection: Any, uuid: str) -> None:
        self.connection = connection
        self.uuid = uuid

    @property
    def found(self) -> Any | None:
        """libvirt's handle; None when there is no such domain."""
        import libvirt

        try:
            return self.connection.lookupByUUIDString(self.uuid)
        except libvirt.libvirtError as error:
            if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
                return None
            raise

    @property
    def handle(self) -> Any:
        """The same. Raises StepFailed("guest.unknown")."""
        if (found := self.found) is None:
            raise StepFailed("guest.unknown", f"libvirt has no guest with the UUID {self.uuid}.")
        return found

    @property
    def xml(self) -> str:
        """Its configuration, with what is secret in it; "" when there is none."""
        import libvirt

        flags = libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE
        found = self.found
        return str(found.XMLDesc(flags)) if found is not None and found.isPersistent() else ""

    def snapshot(self, name: str) -> Any | None:
        """libvirt's handle of the snapshot `name`; None when there is none, or no domain."""
        import libvirt

        if (found := self.found) is None:
            return None
        try:
            return found.snapshotLookupByName(name)
        except libvirt.libvirtError as error:
            if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN_SNAPSHOT:
                return None
            raise

    def record(self, name: str) -> str:
        """What libvirt keeps of the snapshot `name`, with what is secret in it; "" when there is none."""
        import libvirt

        found = self.snapshot(name)
        return "" if found is None else str(found.getXMLDesc(libvirt.VIR_DOMAIN_SNAPSHOT_XML_SECURE))


class DomainChange(Change[Domain]):
    """What the kinds about guests have in common: `uri` and `uuid` say which domain."""

    def thing(self, libvirt: Any, params: Json) -> Domain:
        return Domain(libvirt, params["uuid"])

    def called(self, params: Json) -> str:
        return f"the guest {params['uuid']}"

    def resource(self, params: Json) -> str:
        return f"domain:{params['uuid']}"


class PartChange(DomainChange):
    """The same for a part of it, which `resource` names: a plan may be about several. They lock the whole domain."""

    def touches(self, params: Json) -> tuple[str, ...]:
        return (super().resource(params),)


class SnapshotChange(PartChange):
    """The same for one snapshot of it, by `name`."""

    def resource(self, params: Json) -> str:
        return f"snapshot:{params['uuid']}/{params['name']}"


def asked(machine: Machine, params: Json, work: Callable[[Domain], T], deadline: float) -> T:
    """What `work` returns about the domain that `params` name, within `deadline` seconds; libvirt's errors as ours.

    The step may be stopped meanwhile. What libvirt has begun by then may still come true.
    """
    return _about(machine.libvirt(params["uri"]), machine, params["uuid"], work, deadline)


def _about(connection: Connection, machine: Machine, uuid: str, work: Callable[[Domain], T], deadline: float) -> T:
    doing = f"the guest {uuid}"
    return connection.ask(lambda handle: work(Domain(handle, uuid)), doing, limit=deadline, watch=machine.checkpoint)


def on(step: Step, machine: Machine, work: Callable[[Domain], T]) -> T:
    """The same for a step, in its time."""
    return asked(machine, step.params, work, step.deadline)


def afresh(step: Step, machine: Machine, work: Callable[[Domain], T]) -> T:
    """The same over a connection of its own: the other one may still wait for an answer."""
    from vfioctl.virt.connection import connect
    from vfioctl.virt.nodes import of_uri

    with connect(of_uri(step.params["uri"])) as connection:
        return _about(connection, machine, step.params["uuid"], work, step.deadline)


def known_as(step: Step, machine: Machine) -> str:
    """The name of the guest of a step, for a sentence; its UUID where it is gone."""
    return on(step, machine, lambda domain: domain.uuid if domain.found is None else str(domain.handle.name()))


def text(paths: Paths, blob: str) -> str:
    """The XML in `blob`, "" for none. Raises StepFailed("blob.missing", "blob.damaged")."""
    return blobs.read(paths, blob).decode() if blob else ""


def must_run(handle: Any) -> None:
    """Raise StepRefused("domain.off") where the guest is off."""
    if not handle.isActive():
        said = f"The guest {handle.name()} is off."
        raise StepRefused("domain.off", said, hints=(f"Start it first: virsh start --domain {handle.UUIDString()}",))


def is_paused(handle: Any) -> bool:
    """Whether the guest runs, and stands still: whoever made it."""
    import libvirt

    return bool(handle.state()[0] == libvirt.VIR_DOMAIN_PAUSED)
