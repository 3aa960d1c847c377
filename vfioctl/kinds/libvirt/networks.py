"""What the kinds of networks share: the network that a step is about, who uses it, and the mark of who started it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from vfioctl.errors import StepFailed, StepRefused
from vfioctl.kinds.libvirt.change import Change

if TYPE_CHECKING:
    from vfioctl.findings import Finding
    from vfioctl.host.host import Host
    from vfioctl.txn.step import Json, StepProposal

STARTED = "{urn:vfioctl:started}operation"
OWN = ("", "nat", "route", "open")  # isolated, and the modes of <forward> (formatnetwork), whose bridge libvirt makes
LOOK_AGAIN = ("Look at it, then plan it once more.",)


class Network:
    """A network by its UUID, on an open connection. Each of its methods asks libvirt; raises libvirtError."""

    def __init__(self, connection: Any, uuid: str) -> None:
        self.connection = connection
        self.uuid = uuid

    @property
    def found(self) -> Any | None:
        """libvirt's handle; None when there is no such network."""
        return self._looked_up(lambda: self.connection.networkLookupByUUIDString(self.uuid))

    @property
    def handle(self) -> Any:
        """The same. Raises StepFailed("network.unknown")."""
        if (found := self.found) is None:
            raise StepFailed("network.unknown", f"libvirt has no network with the UUID {self.uuid}.")
        return found

    @property
    def is_active(self) -> bool:
        found = self.found
        return found is not None and bool(found.isActive())

    @property
    def xml(self) -> str:
        """Its configuration; "" when there is none."""
        import libvirt

        if (found := self.found) is None or not found.isPersistent():
            return ""
        return str(found.XMLDesc(libvirt.VIR_NETWORK_XML_INACTIVE))

    @property
    def live_xml(self) -> str:
        """What is active; "" while it is not."""
        found = self.found
        return str(found.XMLDesc(0)) if found is not None and found.isActive() else ""

    def owner(self, name: str) -> str:
        """The UUID of the network that is called `name`; "" for none."""
        found = self._looked_up(lambda: self.connection.networkLookupByName(name))
        return "" if found is None else str(found.UUIDString())

    def must_be_kept(self) -> None:
        """Raise StepRefused("network.transient") where libvirt would forget it with its end."""
        handle = self.handle
        if not handle.isPersistent():
            said = f"libvirt has no configuration of the network {handle.name()}: it would be gone with its end."
            raise StepRefused("network.transient", said, hints=("Give it one with: virsh net-define FILE",))

    def must_be_free(self, *, running: bool) -> None:
        """Raise StepRefused("network.in_use") where a guest is on it: one that is `running`, or any."""
        users = self.users(running=running)
        if users:
            what = "are running on it" if running else "are configured with it"
            said = f"The network {self.handle.name()} is in use; these guests {what}: {', '.join(users)}."
            hint = "Shut them down first." if running else "Give them another network first: vfioctl guest edit GUEST"
            raise StepRefused("network.in_use", said, hints=(hint,))

    def users(self, *, running: bool) -> tuple[str, ...]:
        """The guests on it, sorted: of those that run only, or also of those that are configured or saved with it."""
        import libvirt

        name, bridge = self.handle.name(), _bridge(self.live_xml)
        flags = libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE if running else 0
        return tuple(sorted(
            guest.name() for guest in self.connection.listAllDomains(flags)
            if any(_is_on(xml, name, bridge) for xml in _documents(guest, running=running))
        ))  # fmt: skip

    @staticmethod
    def _looked_up(look: Any) -> Any | None:
        import libvirt

        try:
            return look()
        except libvirt.libvirtError as error:
            if error.get_error_code() == libvirt.VIR_ERR_NO_NETWORK:
                return None
            raise


class NetworkChange(Change[Network]):
    """`uri` and `uuid` say which network; `new`, that an earlier step of the plan makes it."""

    def resource(self, params: Json) -> str:
        return f"network:{params['uuid']}"

    def thing(self, libvirt: Any, params: Json) -> Network:
        return Network(libvirt, params["uuid"])

    def called(self, params: Json) -> str:
        return f"the network {params['uuid']}"

    def check(self, proposal: StepProposal, host: Host) -> Iterable[Finding]:
        return () if proposal.params.get("new", False) else super().check(proposal, host)


def starter(xml: str) -> str:
    """The operation that `xml` says has started the network; "" for none."""
    if not xml:
        return ""
    mark = ET.fromstring(xml).find(f"metadata/{STARTED}")
    return "" if mark is None else mark.get("id", "")


def marked(xml: str, operation: str) -> str:
    """The configuration `xml` that says so, or does not where `operation` is "".

    libvirt 9.0 cannot set the metadata of a network by themselves: networkSetMetadata came with 9.7.
    """
    root = ET.fromstring(xml)
    metadata = root.find("metadata")
    if metadata is None:
        metadata = ET.SubElement(root, "metadata")
    for former in metadata.findall(STARTED):
        metadata.remove(former)
    if operation:
        ET.SubElement(metadata, STARTED, {"id": operation})
    if not len(metadata):
        root.remove(metadata)
    return ET.tostring(root, encoding="unicode")


def _bridge(xml: str) -> str:
    """The bridge that is there with the network alone; "" for one of the host's, which stays, and for none."""
    root = ET.fromstring(xml or "<network/>")
    forward, bridge = root.find("forward"), root.find("bridge")
    mode = "" if forward is None else forward.get("mode", "nat")
    return "" if bridge is None or mode not in OWN else bridge.get("name", "")


def _documents(guest: Any, *, running: bool) -> Iterator[str]:
    """What libvirt keeps of a guest that may be on a network; nothing of one that has gone meanwhile."""
    import libvirt

    try:
        if guest.isActive():
            yield guest.XMLDesc(0)
        if not running and guest.isPersistent():
            yield guest.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
        if not running and guest.hasManagedSaveImage():
            yield guest.managedSaveGetXMLDesc()
    except libvirt.libvirtError as error:
        if error.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:
            raise


def _is_on(xml: str, name: str, bridge: str) -> bool:
    sources = ET.fromstring(xml).iterfind("devices/interface/source")
    return any(one.get("network") == name or (bridge and one.get("bridge") == bridge) for one in sources)
