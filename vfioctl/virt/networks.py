"""The networks of a node, their leases, and which guests are on them. Reads what libvirt says; changes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from vfioctl.frozen import frozen
from vfioctl.unknown import no_such
from vfioctl.virt.connection import binding
from vfioctl.virt.together import together

if TYPE_CHECKING:
    from typing import Any

    from libvirt import virConnect, virNetwork

    from vfioctl.virt.connection import Connection
    from vfioctl.virt.guests import Guest

ISOLATED, NAT, ROUTED, BRIDGE, HOSTDEV, MACVTAP = "isolated", "nat", "routed", "bridge", "hostdev", "macvtap"
# <forward mode> (formatnetwork); one without is isolated, `bridge` with an interface of the host is macvtap.
KINDS = {"nat": NAT, "route": ROUTED, "bridge": BRIDGE, "hostdev": HOSTDEV}
PREFIXES = {"ipv4": 32, "ipv6": 128}


@frozen
class StaticLease:
    """An address that is kept for a guest: by its MAC, or by its name or DUID."""

    mac: str
    address: str
    name: str = ""
    xml: str = ""


@frozen
class DnsName:
    """The names that the network's DNS has for an address."""

    address: str
    names: tuple[str, ...]
    xml: str = ""


@frozen
class Subnet:
    """Addresses of a network: `gateway` is the host's own; `ranges` are first and last of what DHCP gives away."""

    gateway: str
    prefix: int
    ranges: tuple[tuple[str, str], ...] = ()
    leases: tuple[StaticLease, ...] = ()

    @property
    def cidr(self) -> str:
        """The whole of it, such as "192.168.219.0/24"."""
        from ipaddress import ip_interface

        return str(ip_interface(f"{self.gateway}/{self.prefix}").network)


@frozen
class Network:
    """A network: `kind` is isolated, nat, routed, bridge, hostdev, macvtap, or libvirt's own word for another one.

    `bridge` is the one that its guests are on; `devices` are those of the host that it leads to. `xml` is its
    configuration, `live_xml` what is active, "" while it is not.
    """

    uuid: str
    name: str
    active: bool
    persistent: bool
    autostart: bool
    kind: str
    bridge: str = ""
    devices: tuple[str, ...] = ()
    domain: str = ""
    subnets: tuple[Subnet, ...] = ()
    names: tuple[DnsName, ...] = ()
    xml: str = ""
    live_xml: str = ""


@frozen
class Lease:
    """An address that DHCP has given away until `expires`, in seconds since the epoch; 0 for no end."""

    network: str
    mac: str
    address: str
    prefix: int
    name: str
    expires: int


@frozen
class Port:
    """An interface of a guest on a network. `device` is its end on the host while the guest runs, "" otherwise."""

    guest: str
    uuid: str
    mac: str
    network: str
    bridge: str
    device: str = ""
    live: bool = False


def read_networks(connection: Connection) -> tuple[Network, ...]:
    """Every network of the node, by name. Raises VfioctlError as `Connection.ask`."""
    return connection.ask(_all, "the list of networks")


def read_network(connection: Connection, word: str) -> Network:
    """The network that `word` names: its name or its UUID. Raises Refused("network.unknown"), VfioctlError."""
    found = read_networks(connection)
    for one in found:
        if word in (one.name, one.uuid):
            return one
    node = connection.node
    listed = f"The networks of {'this host' if node.is_local else node}"
    raise no_such("network.unknown", f"There is no network {word!r}", word, [one.name for one in found], listed)


def read_leases(connection: Connection, network: Network) -> tuple[Lease, ...]:
    """What DHCP has given away on an active network, by address; none for one that is not active."""
    if not network.active:
        return ()
    return connection.ask(lambda libvirt: _leases(libvirt, network), f"the leases of {network.name}")


def network_ports(guests: Iterable[Guest]) -> tuple[Port, ...]:
    """The interfaces of the guests that are on a network or a bridge: as they run, else as they are configured."""
    return tuple(port for guest in guests for port in _ports(guest))


def parse_network(xml: str) -> Network:
    """What the configuration of a network says; nothing of how it stands."""
    root = ET.fromstring(xml)
    forward, bridge = root.find("forward"), root.find("bridge")
    domain = root.find("domain")
    return Network(
        uuid=root.findtext("uuid", ""), name=root.findtext("name", ""), active=False, persistent=False,
        autostart=False, kind=_kind(forward), bridge=bridge.get("name", "") if bridge is not None else "",
        devices=tuple(_devices(forward)), domain=domain.get("name", "") if domain is not None else "",
        subnets=tuple(_subnet(one) for one in root.iterfind("ip")),
        names=tuple(_names(root)), xml=xml,
    )  # fmt: skip


def _all(libvirt: virConnect) -> tuple[Network, ...]:
    found = together(_read, libvirt.listAllNetworks())
    return tuple(sorted((one for one in found if one), key=lambda one: one.name))


def _read(network: virNetwork) -> Network | None:
    """None for one that has gone meanwhile."""
    from vfioctl.frozen import replace

    module = binding()
    try:
        active, persistent = bool(network.isActive()), bool(network.isPersistent())
        live = str(network.XMLDesc(0)) if active else ""
        found = parse_network(_configured(network) if persistent else live)
        return replace(
            found, active=active, persistent=persistent, live_xml=live,
            autostart=bool(network.autostart()) if persistent else False,
        )  # fmt: skip
    except module.libvirtError as error:
        if error.get_error_code() == module.VIR_ERR_NO_NETWORK:
            return None
        raise


def _configured(network: virNetwork) -> str:
    module = binding()
    try:
        return str(network.XMLDesc(module.VIR_NETWORK_XML_INACTIVE))
    except module.libvirtError as error:
        if error.get_error_code() != module.VIR_ERR_INVALID_ARG:  # libvirt's test driver has no second one
            raise
    return str(network.XMLDesc(0))


def _kind(forward: ET.Element | None) -> str:
    if forward is None:
        return ISOLATED
    mode = forward.get("mode", "nat")
    if mode == "bridge" and next(_devices(forward), ""):
        return MACVTAP
    return KINDS.get(mode, mode)


def _devices(forward: ET.Element | None) -> Iterator[str]:
    """The interfaces of the host that guests get to: named once as an attribute, or one by one."""
    if forward is None:
        return
    named = [one.get("dev", "") for one in (*forward.iterfind("interface"), *forward.iterfind("pf"))]
    yield from dict.fromkeys(filter(None, (forward.get("dev", ""), *named)))


def _subnet(ip: ET.Element) -> Subnet:
    from ipaddress import ip_network

    family, address = ip.get("family", "ipv4"), ip.get("address", "")
    prefix = int(ip.get("prefix", PREFIXES.get(family, 32)))
    if mask := ip.get("netmask"):
        prefix = ip_network(f"0.0.0.0/{mask}").prefixlen
    return Subnet(
        gateway=address, prefix=prefix,
        ranges=tuple((one.get("start", ""), one.get("end", "")) for one in ip.iterfind("dhcp/range")),
        leases=tuple(
            StaticLease(
                one.get("mac", ""), one.get("ip", ""), one.get("name", ""),
                ET.tostring(one, encoding="unicode").strip(),
            ) for one in ip.iterfind("dhcp/host")
        ),
    )  # fmt: skip


def _names(root: ET.Element) -> Iterator[DnsName]:
    for one in root.iterfind("dns/host"):
        names = tuple((name.text or "").strip() for name in one.iterfind("hostname"))
        yield DnsName(one.get("ip", ""), names, ET.tostring(one, encoding="unicode").strip())


def _leases(libvirt: virConnect, network: Network) -> tuple[Lease, ...]:
    rows = libvirt.networkLookupByUUIDString(network.uuid).DHCPLeases()
    return tuple(sorted(map(partial(_lease, network.name), rows), key=lambda one: _order(one.address)))


def _lease(network: str, row: dict[str, Any]) -> Lease:
    return Lease(
        network, (row.get("mac") or "").lower(), row.get("ipaddr") or "", int(row.get("prefix") or 0),
        row.get("hostname") or "", int(row.get("expirytime") or 0),
    )  # fmt: skip


def _order(address: str) -> tuple[int, int]:
    from ipaddress import ip_address

    try:
        found = ip_address(address)
    except ValueError:
        return 0, 0
    return found.version, int(found)


def _ports(guest: Guest) -> Iterator[Port]:
    live = bool(guest.live_xml)
    for interface in ET.fromstring(guest.live_xml or guest.xml).iterfind("devices/interface"):
        source, mac, target = interface.find("source"), interface.find("mac"), interface.find("target")
        if source is not None and (source.get("network") or source.get("bridge")):
            yield Port(
                guest.name, guest.uuid, mac.get("address", "").lower() if mac is not None else "",
                source.get("network", ""), source.get("bridge", ""),
                target.get("dev", "") if target is not None and live else "", live,
            )  # fmt: skip
