"""Which addresses the host already knows a way to, but by its default route: in every routing table. Reads only.

/proc/net/fib_trie has the IPv4 routes of all tables, those of policy routing too, without interfaces; /proc/net/route
has these for the main table (fib_trie_seq_show(), fib_route_seq_show() in net/ipv4/fib_trie.c).
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address, ip_network

from vfioctl.frozen import frozen
from vfioctl.host import routes
from vfioctl.paths import Paths

REACHED = ("UNICAST", "LOCAL", "BLACKHOLE", "UNREACHABLE", "PROHIBIT")  # broadcasts lie within those
LINK = ip_network("fe80::/10"), ip_network("ff00::/8")  # every interface has them
# A default route in halves, as VPNs write it to win over the one that is there, and all that is global in IPv6.
WHOLE = {32: 1, 128: 3}


@frozen
class Destination:
    """Addresses, such as "10.0.0.0/8", and the interface through which they are reached; "" where nobody says."""

    cidr: str
    interface: str = ""


def destinations(paths: Paths) -> tuple[Destination, ...]:
    """Each of them once, in the order of the tables; lines that are garbled are passed over."""
    main = {_cidr(one): one.interface for one in routes.table(paths)}
    found = dict.fromkeys(_ipv4(paths), "") | main
    return tuple(Destination(cidr, interface) for cidr, interface in found.items() if _counts(cidr))


def _cidr(route: routes.Route) -> str:
    kind = "0.0.0.0" if route.bits == routes.IPV4 else "::"
    address = ip_address(kind) + route.network
    return str(ip_network(f"{address}/{route.prefix}", strict=False))


def _counts(cidr: str) -> bool:
    network = ip_network(cidr)
    return network.prefixlen > WHOLE[network.max_prefixlen] and not any(
        network.version == one.version and network.subnet_of(one) for one in LINK  # type: ignore[arg-type]
    )


def _ipv4(paths: Paths) -> Iterator[str]:
    """A leaf is "|-- 10.0.0.0", and below it "/8 universe UNICAST" for each route of that address."""
    address = ""
    for words in routes.rows(paths, "fib_trie"):
        if words[:1] == ["|--"]:
            address = words[-1]
        elif words and words[0].startswith("/") and words[-1] in REACHED:
            try:
                yield str(ip_network(address + words[0], strict=False))
            except ValueError:
                continue
