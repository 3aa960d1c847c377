"""What the host's network needs of a PCI function: the default route, the SSH server's connections. Reads only."""

from __future__ import annotations

from vfioctl.frozen import frozen
from vfioctl.host import interfaces, routes, ssh
from vfioctl.paths import Paths


@frozen
class Traffic:
    """What leaves through `interface`, and whether that is the default route."""

    interface: str
    what: str
    is_default: bool = False


def is_only_way(paths: Paths, address: str) -> bool:
    """Whether every interface with a default route has the function at `address` alone behind it."""
    names = routes.defaults(routes.table(paths))
    behind = {function for name in names for function in interfaces.functions(paths, name)}
    return behind == {address}


def traffic(paths: Paths, address: str) -> tuple[Traffic, ...]:
    """What the host's network has on the function at `address`, also through what is above that, such as a bridge."""
    table = routes.table(paths)
    found = [Traffic(name, "the default route", is_default=True) for name in sorted(_best_defaults(table))]
    for one in ssh.connections(paths):
        found += [Traffic(name, f"an SSH connection from {one.peer}") for name in sorted(_ways(table, one))]
    return tuple(one for one in found if address in interfaces.functions(paths, one.interface))


def _ways(table: tuple[routes.Route, ...], one: ssh.Connection) -> frozenset[str]:
    """The interfaces that a connection needs: it comes in where our address is, and leaves by the route to the peer.

    Every interface has a route to fe80::/64, so that a link-local peer is where our own address is.
    """
    comes = routes.towards(table, one.local, one.bits, least=1)
    return comes if one.is_link_local else comes | routes.towards(table, one.remote, one.bits)


def _best_defaults(table: tuple[routes.Route, ...]) -> frozenset[str]:
    """The interfaces of the default route in use of each family; one with a higher metric only waits for its turn."""
    plain = [route for route in table if route.prefix == 0]
    ways = (routes.towards([one for one in plain if one.bits == bits], 0, bits) for bits in (routes.IPV4, routes.IPV6))
    return frozenset().union(*ways)
