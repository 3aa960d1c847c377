"""network.refresh: has libvirt write the packet filter rules of an active network again, and cuts nobody off.

It does so with each change of a kept address (networkUpdate in src/network/bridge_driver.c). So one for a MAC that
nobody has comes and goes, in what is active alone; the configuration is not touched.
"""

from __future__ import annotations

from ipaddress import ip_interface
from xml.etree import ElementTree as ET

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import StepRefused
from vfioctl.kinds.libvirt.change import URI
from vfioctl.kinds.libvirt.networks import Network, NetworkChange
from vfioctl.txn.shape import UUID, Shape
from vfioctl.txn.step import State, Undo

if TYPE_CHECKING:
    from vfioctl.paths import Paths
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Json, Step

NOBODY = "02:76:66:69:6f:63"  # a MAC of the locally administered ones: no card has it


class NetworkRefresh(NetworkChange):
    """{uri, uuid}"""

    name = "network.refresh"
    summary = "Has libvirt write the rules of an active network again; nobody is cut off."
    undo_class = Undo.EXACT
    blind = True  # libvirt does not say which rules are there
    takes = Shape(uri=URI, uuid=UUID)
    goes_on = ()

    def put_back(self, params: Json) -> str:  # noqa: ARG002
        return "the rules stay as libvirt writes them"

    def must_fit(self, params: Json, network: Network, machine: Machine) -> None:  # noqa: ARG002
        if not network.handle.isActive():
            raise StepRefused("network.inactive", f"The network {network.handle.name()} is not active.")
        _place(network)

    def state(self, step: Step, paths: Paths, network: Network) -> State:  # noqa: ARG002
        """Its undo is run whenever the journal says that it was begun."""
        return State.BETWEEN

    def apply(self, step: Step, machine: Machine) -> str | None:
        return self.on(step, machine, _refresh)

    def undo(self, step: Step, machine: Machine) -> str | None:
        return self.on(step, machine, _tidy)


def _refresh(network: Network) -> None:
    _tidy(network)
    index, address = _place(network)
    _change(network, index, f"<host mac='{NOBODY}' ip='{address}'/>", there=True)
    _tidy(network)


def _tidy(network: Network) -> str | None:
    """Take the entry away, which a process of ours that was killed may have left."""
    found = _entry(network)
    if not found:
        return "nothing of it is left"
    _change(network, *found, there=False)
    return None


def _change(network: Network, index: int, entry: str, *, there: bool) -> None:
    import libvirt

    command = libvirt.VIR_NETWORK_UPDATE_COMMAND_ADD_LAST if there else libvirt.VIR_NETWORK_UPDATE_COMMAND_DELETE
    section, live = libvirt.VIR_NETWORK_SECTION_IP_DHCP_HOST, libvirt.VIR_NETWORK_UPDATE_AFFECT_LIVE
    network.handle.update(command, section, index, entry, live)


def _entry(network: Network) -> tuple[int, str] | None:
    """The index of the subnet that has the entry, and the entry."""
    document = network.live_xml
    for index, ip in enumerate(ET.fromstring(document).iterfind("ip")) if document else ():
        for host in ip.iterfind("dhcp/host"):
            if host.get("mac") == NOBODY:
                return index, ET.tostring(host, encoding="unicode").strip()
    return None


def _place(network: Network) -> tuple[int, str]:
    """The index of an IPv4 subnet that has one, and its last address that is kept for nobody.

    Raises StepRefused("network.no_addresses").
    """
    for index, ip in enumerate(ET.fromstring(network.live_xml).iterfind("ip")):
        if ip.get("family", "ipv4") == "ipv4":
            subnet = ip_interface(f"{ip.get('address')}/{ip.get('prefix') or ip.get('netmask')}")
            kept = {host.get("ip") for host in ip.iterfind("dhcp/host")} | {str(subnet.ip)}
            last = int(subnet.network.broadcast_address) - 1
            for number in range(last, int(subnet.network.network_address), -1):
                if (text := str(subnet.ip + (number - int(subnet.ip)))) not in kept:
                    return index, text
    said = f"The network {network.handle.name()} has no IPv4 address that is kept for nobody."
    raise StepRefused("network.no_addresses", said)


KIND = NetworkRefresh()
