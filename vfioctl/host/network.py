"""What the host's network needs of a PCI function: the default route, the SSH server's connections. Reads only."""

from __future__ import annotations

import os

from vfioctl.frozen import frozen
from vfioctl.host import routes, ssh
from vfioctl.host.readers import ADDRESS, entries
from vfioctl.paths import Paths

MOST_LAYERS = 4  # a VLAN over a bridge over a bond over a card


@frozen
class Traffic:
    """What leaves through `interface`, and whether that is the default route."""

    interface: str
    what: str
    is_default: bool = False


def is_only_way(paths: Paths, address: str) -> bool:
    """Whether every interface with a default route has the function at `address` alone behind it."""
    names = routes.defaults(routes.table(paths))
    behind = {function for name in names for function in _behind(paths, name)}
    return behind == {address}


def traffic(paths: Paths, address: str) -> tuple[Traffic, ...]:
    """What the host's network has on the function at `address`, also through a bridge, a bond or a VLAN."""
    table = routes.table(paths)
    found = [Traffic(name, "the default route", is_default=True) for name in sorted(_best_defaults(table))]
    for one in ssh.connections(paths):
        # Packets leave by the route to the peer, and come in where the address is that it called.
        ways = routes.towards(table, one.remote, one.bits) | routes.towards(table, one.local, one.bits, least=1)
        found += [Traffic(name, f"an SSH connection from {one.peer}") for name in sorted(ways)]
    return tuple(one for one in found if address in _behind(paths, one.interface))


def has_any(paths: Paths, address: str) -> bool:
    """Whether an interface is behind the function at `address`."""
    base = paths.at("sys/class/net")
    return any(address in _functions(os.path.join(base, name)) for name in entries(base))


def _best_defaults(table: tuple[routes.Route, ...]) -> frozenset[str]:
    """The interfaces of the default route in use of each family; one with a higher metric only waits for its turn."""
    plain = [route for route in table if route.prefix == 0]
    ways = (routes.towards([one for one in plain if one.bits == bits], 0, bits) for bits in (routes.IPV4, routes.IPV6))
    return frozenset().union(*ways)


def _behind(paths: Paths, name: str, depth: int = MOST_LAYERS) -> frozenset[str]:
    """The PCI functions behind the interface `name`, also through a bridge, a bond or a VLAN."""
    base = paths.at("sys/class/net", name)
    lower = [entry.removeprefix("lower_") for entry in entries(base) if entry.startswith("lower_")]
    if lower and depth:
        return frozenset().union(*(_behind(paths, other, depth - 1) for other in lower))
    return _functions(base)


def _functions(base: str) -> frozenset[str]:
    """The function of the interface in the directory `base`; none when there is no device behind it."""
    link = os.path.join(base, "device")
    parts = [part for part in os.path.realpath(link).split("/") if ADDRESS.fullmatch(part)]
    return frozenset(parts[-1:]) if os.path.exists(link) else frozenset()
