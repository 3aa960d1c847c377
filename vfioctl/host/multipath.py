"""The next hops of routes that have several, as the kernel tells them by rtnetlink(7). Of our network namespace.

/proc/net/route shows the first one alone (fib_route_seq_show() in net/ipv4/fib_trie.c), and so does ipv6_route where
they are a nexthop object (rt6_info_route() in net/ipv6/route.c).
"""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Iterator, Mapping

from vfioctl.host.routes import IPV4, IPV6, TABLE_SIZE, Route

BITS = {socket.AF_INET: IPV4, socket.AF_INET6: IPV6}
PATIENCE = 1.0  # seconds
CHUNK = 1 << 16

# linux/netlink.h and linux/rtnetlink.h: nlmsghdr, rtmsg, rtattr, rtnexthop. Those with a length begin with it.
MESSAGE, ROUTE, ATTRIBUTE, HOP = map(struct.Struct, ("=IHHII", "=8BI", "=HH", "=HBBi"))
NEWROUTE, GETROUTE, DONE, FAILED = 24, 26, 3, 2
REQUEST, DUMP = 0x1, 0x300
MAIN, UNICAST, DEAD = 254, 1, 1
DESTINATION, PRIORITY, HOPS = 1, 6, 9


def routes() -> tuple[Route, ...]:
    """Each next hop of each such route of the main tables; none where the kernel may not be asked."""
    try:
        names = dict(socket.if_nameindex())
        return tuple(route for family in BITS for body in _dumped(family) for route in parsed(body, names))
    except OSError:  # no netlink in this sandbox: what the files show is left
        return ()


def parsed(body: bytes, names: Mapping[int, str]) -> Iterator[Route]:
    """The next hops that the message `body` tells of, but for those whose interface is down."""
    family, prefix, _, _, table, _, _, kind, _ = ROUTE.unpack_from(body)
    told = {head[1]: value for head, value in _pieces(ATTRIBUTE, body[ROUTE.size :])}
    if (table, kind) != (MAIN, UNICAST) or family not in BITS:
        return
    network = int.from_bytes(told.get(DESTINATION, b""), "big")
    metric = int.from_bytes(told.get(PRIORITY, b""), sys.byteorder)
    for (_, flags, _, index), _ in _pieces(HOP, told.get(HOPS, b"")):
        if index in names and not flags & DEAD:
            yield Route(names[index], BITS[family], network, prefix, metric)


def _dumped(family: int) -> Iterator[bytes]:
    """Every route of the family, as a message. Raises OSError."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as kernel:
        kernel.settimeout(PATIENCE)
        body = ROUTE.pack(family, 0, 0, 0, 0, 0, 0, 0, 0)
        kernel.send(MESSAGE.pack(MESSAGE.size + len(body), GETROUTE, REQUEST | DUMP, 1, 0) + body)
        left = TABLE_SIZE  # default routes come first
        while left > 0:
            data = kernel.recv(CHUNK)
            left -= len(data)
            for head, content in _pieces(MESSAGE, data):
                if head[1] in (DONE, FAILED):
                    return
                if head[1] == NEWROUTE:
                    yield content


def _pieces(head: struct.Struct, data: bytes) -> Iterator[tuple[tuple[int, ...], bytes]]:
    """Each `head` in `data` with what it is about; its first number is the length of both, rounded up to 4 bytes."""
    while len(data) >= head.size:
        found = head.unpack_from(data)
        if found[0] < head.size:
            return
        yield found, data[head.size : found[0]]
        data = data[(found[0] + 3) & ~3 :]
