"""The guests of a node as libvirt has them: state and configuration. Changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vfioctl.frozen import frozen
from vfioctl.unknown import no_such
from vfioctl.virt.connection import binding, with_secrets
from vfioctl.virt.together import together

if TYPE_CHECKING:
    from libvirt import virConnect, virDomain

    from vfioctl.virt.connection import Connection

OFF, RUNNING, PAUSED, SAVED, CRASHED = "off", "running", "paused", "saved", "crashed"
# virDomainState (libvirt-domain.h): blocked and "in shutdown" have a QEMU that runs; pmsuspended one that sleeps.
STATES = {0: OFF, 1: RUNNING, 2: RUNNING, 3: PAUSED, 4: RUNNING, 5: OFF, 6: CRASHED, 7: PAUSED}
SHUT_OFF = 5
# virDomainShutoffReason. libvirt keeps it in its memory alone: after its own restart it knows none.
ENDED = ("", "shutdown", "destroyed", "crashed", "migrated", "saved", "failed", "from snapshot", "daemon")


@frozen
class Guest:
    """A guest: `state` is off, running, paused, saved or crashed. `saved`: a managed-save image that a start takes.

    `xml` is its configuration, with what is secret in it where we may see that; `live_xml` what runs, "" while it is
    off. `ended`: how its last run ended, in libvirt's words ("shutdown" by itself, "destroyed", "crashed", …); "" while
    it runs, and where libvirt does not know.
    """

    uuid: str
    name: str
    state: str
    persistent: bool
    saved: bool
    xml: str
    live_xml: str = ""
    ended: str = ""

    @property
    def is_off(self) -> bool:
        """Whether no QEMU has its disks, and no saved memory belongs to them."""
        return self.state == OFF


def read_guests(connection: Connection) -> tuple[Guest, ...]:
    """Every guest of the node, by name. Raises VfioctlError as `Connection.ask`."""
    return connection.ask(_all, "the list of guests")


def read_names(connection: Connection) -> tuple[str, ...]:
    """The names of every guest, sorted. Raises VfioctlError as `Connection.ask`."""
    return connection.ask(lambda libvirt: tuple(sorted(one.name() for one in libvirt.listAllDomains())), "the guests")


def read_guest(connection: Connection, word: str) -> Guest:
    """The guest that `word` names: its name or its UUID. Raises Refused("guest.unknown"), VfioctlError."""
    found = connection.ask(lambda libvirt: _named(libvirt, word), f"the guest {word}")
    if found is None:
        node = connection.node
        listed = f"The guests of {'this host' if node.is_local else node}"
        raise no_such("guest.unknown", f"There is no guest {word!r}", word, read_names(connection), listed)
    return found


def _all(libvirt: virConnect) -> tuple[Guest, ...]:
    found = together(_read, libvirt.listAllDomains())
    return tuple(sorted((one for one in found if one), key=lambda one: one.name))


def _named(libvirt: virConnect, word: str) -> Guest | None:
    module = binding()
    for look in (libvirt.lookupByName, libvirt.lookupByUUIDString):
        try:
            return _read(look(word))
        except module.libvirtError as error:
            if error.get_error_code() not in (module.VIR_ERR_NO_DOMAIN, module.VIR_ERR_INVALID_ARG):
                raise
    return None


def _read(domain: virDomain) -> Guest | None:
    """None for one that has gone meanwhile."""
    module = binding()
    try:
        number, reason = domain.state()
        state, saved = STATES.get(number, OFF), bool(domain.hasManagedSaveImage())
        runs = state in (RUNNING, PAUSED)
        return Guest(
            uuid=domain.UUIDString(), name=domain.name(), state=SAVED if saved and state == OFF else state,
            persistent=bool(domain.isPersistent()), saved=saved, xml=_xml(domain, module.VIR_DOMAIN_XML_INACTIVE),
            live_xml=_xml(domain, 0) if runs else "", ended=_ended(reason) if number == SHUT_OFF else "",
        )  # fmt: skip
    except module.libvirtError as error:
        if error.get_error_code() == module.VIR_ERR_NO_DOMAIN:
            return None
        raise


def _ended(reason: int) -> str:
    return ENDED[reason] if reason < len(ENDED) else "otherwise"


def _xml(domain: virDomain, flags: int) -> str:
    return with_secrets(domain.XMLDesc, binding().VIR_DOMAIN_XML_SECURE, flags)
