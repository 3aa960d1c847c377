"""domain.define: gives a domain another configuration, or its first one. Compares what libvirt has made of the XML.

Both documents are blobs (txn/blobs.py), since they may hold passwords. A domain that was new is known by its UUID.
"""

from __future__ import annotations

import os

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import StepFailed, StepRefused
from vfioctl.kinds.disks.made import is_changed
from vfioctl.kinds.libvirt.documents import canonical, covers, name_of, sources
from vfioctl.kinds.libvirt.domains import URI, Domain, DomainChange, on, text
from vfioctl.kinds.libvirt.drives import must_have_disks
from vfioctl.shell import argument
from vfioctl.txn.blobs import BLOB
from vfioctl.txn.shape import FLAG, NAME, UUID, Shape, empty_or, optional
from vfioctl.txn.step import State, Undo

if TYPE_CHECKING:
    from vfioctl.paths import Paths
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Json, Step


class DomainDefine(DomainChange):
    """{uri, uuid, blob, former, live?, judged?}: blob, former: the names of what is to be and of what is there, which
    `vfioctl.txn.blobs.store` gives, with what is secret in them; former is "" for a domain that is new; live: it may
    run, and changes with its next start; judged: a person has written it, so libvirt compares it with its schema first,
    and may say it in other words"""

    name = "domain.define"
    summary = "Gives a guest another configuration; the former one is put back only on failure."
    undo_class = Undo.EXACT
    marks = True  # the images that the same operation makes bear it, too
    takes = Shape(uri=URI, uuid=UUID, blob=BLOB, former=empty_or(BLOB), live=optional(FLAG), judged=optional(FLAG))
    keeps = Shape(operation=optional(NAME))  # what an earlier version has planned names none

    def put_back(self, params: Json) -> str:
        return "it has its former configuration again" if params["former"] else "libvirt forgets it; no file is removed"

    def must_fit(self, params: Json, domain: Domain, machine: Machine) -> None:
        former, present = text(machine.paths, params["former"]), domain.xml
        text(machine.paths, params["blob"])
        if not former:
            _must_be_new(domain, text(machine.paths, params["blob"]))
        elif not present or canonical(present) != canonical(former):
            said = f"The configuration of the guest {domain.uuid} was changed since this was planned, or is gone."
            raise StepRefused("domain.changed", said, hints=("Look at it, then plan it once more.",))
        elif not params.get("live", False):
            must_be_off(domain)

    def must_fit_here(self, params: Json, machine: Machine) -> None:
        wanted, former = (text(machine.paths, params[name]) for name in ("blob", "former"))
        must_have_disks(machine, params, wanted, former)

    def state(self, step: Step, paths: Paths, domain: Domain) -> State:
        found = _known(step, paths, domain)
        return State.FOREIGN if found is State.AFTER and _written(step, paths) else found

    def apply(self, step: Step, machine: Machine) -> str | None:
        return on(step, machine, lambda domain: self._apply(step, machine, domain))

    def _apply(self, step: Step, machine: Machine, domain: Domain) -> str | None:
        if _known(step, machine.paths, domain) is State.AFTER:
            return "it has that configuration already"
        self.must_fit(step.params, domain, machine)  # as late as can be: libvirt replaces what it finds
        if step.params.get("judged", False):
            _judged(domain, text(machine.paths, step.params["blob"]))
            return None
        asked = text(machine.paths, step.params["blob"])
        domain.connection.defineXML(asked)
        if _known(step, machine.paths, domain) is not State.AFTER:
            _put_back(step, machine.paths, domain)
            said = f"libvirt has made something else of the configuration of {name_of(asked)}; the former one is back."
            raise StepFailed("libvirt.define", said)
        return None

    def undo(self, step: Step, machine: Machine) -> str | None:
        return on(step, machine, lambda domain: _undo(step, machine.paths, domain))

    def foreign(self, step: Step, machine: Machine) -> str:
        written = _written(step, machine.paths)
        if written:
            return f"The guest {step.params['uuid']} keeps its configuration, since it has used {', '.join(written)}."
        if step.params.get("judged", False):
            return f"The configuration of {step.params['uuid']} is another one, new or somebody else's; it stays so."
        return f"The configuration of {step.params['uuid']} was changed by somebody else, or is gone; it stays so."


def _known(step: Step, paths: Paths, domain: Domain) -> State:
    """How far the step has come by the configuration alone, whatever became of the images in it."""
    former, present = text(paths, step.params["former"]), domain.xml
    if not present:
        return State.FOREIGN if former else State.BEFORE
    if former and canonical(present) == canonical(former):
        return State.BEFORE
    ours = not former or covers(text(paths, step.params["blob"]), present)
    return State.AFTER if ours else State.FOREIGN


def must_be_off(domain: Domain) -> None:
    """Raise StepRefused("domain.running", "domain.saved") unless it is off, and will start from its disks."""
    name = domain.handle.name()
    if domain.handle.isActive():
        said = f"The guest {name} is running."
        raise StepRefused("domain.running", said, hints=(f"Shut it down first: vfioctl guest stop {argument(name)}",))
    if domain.handle.hasManagedSaveImage(0):
        said = f"The guest {name} has a saved state: its next start would go on from that, on its present disks."
        raise StepRefused("domain.saved", said, hints=("Start it and shut it down, or discard the saved state.",))


def _judged(domain: Domain, asked: str) -> None:
    """Define what fits libvirt's schema. Raises StepRefused("domain.invalid"): nothing is changed then."""
    import libvirt

    refusing = {getattr(libvirt, f"VIR_ERR_{name}") for name in JUDGED}
    try:
        domain.connection.defineXMLFlags(asked, libvirt.VIR_DOMAIN_DEFINE_VALIDATE)
    except libvirt.libvirtError as error:
        if error.get_error_code() not in refusing:
            raise
        said = " ".join(str(error.get_error_message()).split()).rstrip(".")
        raise StepRefused("domain.invalid", f"libvirt does not take the configuration: {said}.") from error


def _must_be_new(domain: Domain, asked: str) -> None:
    import libvirt

    name = name_of(asked)
    if (found := domain.found) is not None:
        said = f"The guest {found.name()} has the UUID {domain.uuid} already."
        raise StepRefused("domain.exists", said, hints=("Plan it once more, with another one.",))
    try:
        domain.connection.lookupByName(name)
    except libvirt.libvirtError as error:
        if error.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:
            raise
        return
    said = f"There is a guest {name} already."
    raise StepRefused("domain.exists", said, hints=("Choose another name, or see: vfioctl guest list",))


def _written(step: Step, paths: Paths) -> tuple[str, ...]:
    """The images of the new configuration that the same operation made, and a guest has changed since or has open.

    Their former state is nowhere else: with the former configuration they would be lost to the guest. Those that were
    there before stay there with either.
    """
    former = text(paths, step.params["former"])
    new = sources(text(paths, step.params["blob"])) - (sources(former) if former else frozenset())
    author = step.baseline.get("operation", "")
    return tuple(sorted(path for path in new if os.path.exists(path) and is_changed(path, author)))


def _undo(step: Step, paths: Paths, domain: Domain) -> str | None:
    if step.params["former"] or not (found := domain.found):
        _put_back(step, paths, domain)
        return None
    if found.isActive():
        said = f"The guest {found.name()} is running, and would be gone with its end."
        raise StepFailed("domain.running", said, hints=("Shut it down, then: vfioctl recover",))
    _put_back(step, paths, domain)
    return None


def _put_back(step: Step, paths: Paths, domain: Domain) -> None:
    """The former configuration, or none; NVRAM and the state of a TPM stay, whoever made them."""
    import libvirt

    if former := text(paths, step.params["former"]):
        domain.connection.defineXML(former)
    elif (found := domain.found) is not None:
        kept = libvirt.VIR_DOMAIN_UNDEFINE_KEEP_NVRAM
        if domain.connection.getLibVersion() >= KEEPS_TPM:
            kept |= libvirt.VIR_DOMAIN_UNDEFINE_KEEP_TPM
        found.undefineFlags(kept)


# What libvirt answers for a configuration that it does not take (virterror.h).
JUDGED = ("XML_INVALID_SCHEMA", "XML_ERROR", "XML_DETAIL", "CONFIG_UNSUPPORTED", "INVALID_ARG", "OPERATION_FAILED")
KEEPS_TPM = 8_009_000  # the first version of libvirt that asks what becomes of it
KIND = DomainDefine()
