"""The host's main routing tables: where a packet leaves. Of our network namespace, the host's own. Reads only.

/proc/net/route writes addresses as numbers in the machine's byte order, /proc/net/ipv6_route as the bytes themselves
(fib_route_seq_show() in net/ipv4/fib_trie.c, rt6_info_route() in net/ipv6/route.c). Policy routing shows in neither.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator

from vfioctl.frozen import frozen
from vfioctl.host import readers
from vfioctl.paths import Paths

IPV4, IPV6 = 32, 128  # bits of an address
REJECT = 0x0200  # RTF_REJECT: unreachable
UNUSED = "lo"
TABLE_SIZE = 1 << 20
IPV6_FIELDS = 10


@frozen
class Route:
    """Packets to `network` (its first `prefix` bits count) leave through `interface`; the lowest `metric` wins."""

    interface: str
    bits: int
    network: int
    prefix: int
    metric: int

    def covers(self, address: int, bits: int) -> bool:
        return bits == self.bits and (address ^ self.network) >> (bits - self.prefix) == 0


def table(paths: Paths) -> tuple[Route, ...]:
    """Every route of both tables that leads out of the host; lines that are garbled are passed over."""
    shown = (*_parsed(rows(paths, "route")[1:], _ipv4), *_parsed(rows(paths, "ipv6_route"), _ipv6))
    found = (*shown, *_further_hops(paths))
    return tuple(route for route in found if route.interface != UNUSED)


def defaults(table: Iterable[Route]) -> frozenset[str]:
    """The interfaces with a default route, used or not."""
    return frozenset(route.interface for route in table if route.prefix == 0)


def towards(table: Iterable[Route], address: int, bits: int, *, least: int = 0) -> frozenset[str]:
    """The interfaces through which a packet to `address` leaves: the longest prefix, of `least` at least, wins."""
    fitting = [route for route in table if route.prefix >= least and route.covers(address, bits)]
    if not fitting:
        return frozenset()
    best = min((-route.prefix, route.metric) for route in fitting)
    return frozenset(route.interface for route in fitting if (-route.prefix, route.metric) == best)


def rows(paths: Paths, name: str) -> list[list[str]]:
    """The words of each line of /proc/net/NAME."""
    data = readers.table(os.path.join(paths.proc, "self", "net", name), TABLE_SIZE) or b""
    return [line.split() for line in data.decode("utf-8", "replace").splitlines()]


def native(text: str) -> int:
    """An address that the kernel wrote as numbers of 32 bits in the machine's order. Raises ValueError."""
    words = [text[start : start + 8] for start in range(0, len(text), 8)]
    return int.from_bytes(b"".join(int(word, 16).to_bytes(4, sys.byteorder) for word in words), "big")


def _further_hops(paths: Paths) -> tuple[Route, ...]:
    """What the files leave out. Another root shows the files of another machine: our kernel knows nothing of it."""
    if paths.root != "/":
        return ()
    from vfioctl.host import multipath  # a simulated host does without a socket

    return multipath.routes()


def _parsed(lines: Iterable[list[str]], parse: Callable[[list[str]], Route | None]) -> Iterator[Route]:
    for line in lines:
        try:
            route = parse(line)
        except (ValueError, IndexError, OverflowError):
            continue
        if route:
            yield route


def _ipv4(words: list[str]) -> Route | None:
    """Interface, destination, gateway, flags, count, uses, metric, mask: proc(5)."""
    if int(words[3], 16) & REJECT:
        return None
    return Route(words[0], IPV4, native(words[1]), native(words[7]).bit_count(), int(words[6]))


def _ipv6(words: list[str]) -> Route | None:
    """Destination, its prefix, source, its prefix, next hop, metric, count, uses, flags, interface."""
    if len(words) != IPV6_FIELDS or int(words[8], 16) & REJECT:
        return None
    return Route(words[9], IPV6, int(words[0], 16), int(words[1], 16), int(words[5], 16))
