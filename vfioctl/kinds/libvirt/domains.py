"""What the libvirt kinds share: the domain that a step is about, looked at and changed within the step's time."""

from __future__ import annotations

from abc import abstractmethod

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import StepFailed, StepRefused, VfioctlError
from vfioctl.findings import Finding
from vfioctl.kinds.common import Primitive
from vfioctl.txn import blobs
from vfioctl.txn.shape import Form, Shape, is_text
from vfioctl.txn.step import Lifetime, Scope, State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, TypeVar

    from vfioctl.host.host import Host
    from vfioctl.paths import Paths
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Json, Step, StepProposal
    from vfioctl.virt.connection import Connection

    T = TypeVar("T")

LOOK = 10.0  # seconds for the look of a check
URI = Form("the URI of a node", lambda value: is_text(value) and "://" in value)
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


class DomainChange(Primitive):
    """What the libvirt kinds have in common: `uri` and `uuid` say which domain; a kind says in which `state` it is."""

    exclusive = True
    in_hooks = False
    scope = Scope.TRANSACTION
    lifetime = Lifetime.DISK
    keeps = Shape()
    goes_on: tuple[State, ...] = (State.AFTER,)  # of an apply that was interrupted; there is nothing to judge any more

    def resource(self, params: Json) -> str:
        return f"domain:{params['uuid']}"

    def baseline(self, params: Json, host: Host) -> Json:  # noqa: ARG002
        return {}

    def check(self, proposal: StepProposal, host: Host) -> Iterable[Finding]:
        from vfioctl.txn.machine import Machine

        machine = Machine(host.paths, host.programs)
        try:
            asked(machine, proposal.params, lambda domain: self.must_fit(proposal.params, domain, machine), LOOK)
        except VfioctlError as error:
            yield Finding(error.code, error.message, hint=" ".join(error.hints))

    def must_fit(self, params: Json, domain: Domain, machine: Machine) -> None:
        """Raise StepFailed where it must not be done as things are now; changes nothing."""

    @abstractmethod
    def state(self, step: Step, paths: Paths, domain: Domain) -> State:
        """How far the step has come, by what libvirt says."""

    def guard(self, step: Step, machine: Machine) -> None:
        def look(domain: Domain) -> None:
            if self.state(step, machine.paths, domain) not in self.goes_on:
                self.must_fit(step.params, domain, machine)

        on(step, machine, look)

    def probe(self, step: Step, machine: Machine) -> State:
        return State(on(step, machine, lambda domain: self.state(step, machine.paths, domain)))


class SnapshotChange(DomainChange):
    """The same for one snapshot of it, by `name`: a plan may be about several. They lock the whole domain."""

    def resource(self, params: Json) -> str:
        return f"snapshot:{params['uuid']}/{params['name']}"

    def touches(self, params: Json) -> tuple[str, ...]:
        return (f"domain:{params['uuid']}",)


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
