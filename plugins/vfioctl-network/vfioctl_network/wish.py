"""What a new network is to be, judged before anything is asked. Pure."""

from __future__ import annotations

import re

from vfioctl.plugin import TYPE_CHECKING, Refused, frozen
from vfioctl_network.addresses import NOTHING_CHANGED, addresses

if TYPE_CHECKING:
    from vfioctl_network.addresses import Addresses

ISOLATED, NAT, ROUTED, BRIDGE, HOSTDEV, MACVTAP = TYPES = ("isolated", "nat", "routed", "bridge", "hostdev", "macvtap")
OWN = (ISOLATED, NAT, ROUTED)  # these have a bridge and addresses of their own
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,49}")
INTERFACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,14}")  # IFNAMSIZ is 16 with the end; libvirt sees it at the start
DOMAIN = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*")
LONGEST_DOMAIN = 253


@frozen
class Wish:
    """A network that is to be made. `device` is the host's interface that it leads to, "" for every one of them."""

    name: str
    kind: str
    bridge: str = ""
    device: str = ""
    domain: str = ""
    addresses: Addresses | None = None


@frozen
class Asked:
    """What was asked for, as it was typed; "" for what was not."""

    name: str
    kind: str = NAT
    subnet: str = ""
    gateway: str = ""
    dhcp: str = ""
    gives: bool = True
    bridge: str = ""
    device: str = ""
    domain: str = ""
    leases: tuple[str, ...] = ()
    names: tuple[str, ...] = ()


def judged(asked: Asked) -> Wish:
    """The wish. Raises Refused("network.bad_name", "network.address", "network.options")."""
    _check_name(asked.name)
    for option in _unsuited(asked):
        raise options(f"A network of the type {asked.kind} has no {option}.", f"Leave {option} out.")
    for option in _missing(asked):
        raise options(f"A network of the type {asked.kind} needs {option}.", f"Give it with {option}.")
    for what, value in (("bridge", asked.bridge), ("interface", asked.device)):
        if value and not INTERFACE.fullmatch(value):
            raise bad_name(f"{value!r} cannot name a {what}: expected up to 15 letters, digits, '.', '_' and '-'.")
    if asked.domain and not (DOMAIN.fullmatch(asked.domain) and len(asked.domain) <= LONGEST_DOMAIN):
        raise bad_name(f"{asked.domain!r} is no name of a DNS domain, such as lab.test.")
    found = addresses(asked.subnet, asked.gateway, asked.dhcp, gives=asked.gives) if asked.subnet else None
    return Wish(asked.name, asked.kind, asked.bridge, asked.device, asked.domain, found)


def options(message: str, hint: str) -> Refused:
    """The refusal of options that do not go together."""
    return Refused("network.options", message, state=NOTHING_CHANGED, hints=(hint,))


def bad_name(message: str) -> Refused:
    """The refusal of a name."""
    return Refused("network.bad_name", message, state=NOTHING_CHANGED)


def _check_name(name: str) -> None:
    """A number would be taken for an id by virsh, and a dash at its beginning for an option."""
    if not NAME.fullmatch(name) or name.isdigit():
        rule = "up to 50 letters, digits, '.', '_' and '-', a letter or digit first, and not only digits"
        raise bad_name(f"{name!r} cannot name a network: expected {rule}.")


def _unsuited(asked: Asked) -> list[str]:
    """The options that were given and mean nothing for this type."""
    given = {
        "--subnet": asked.subnet, "--gateway": asked.gateway, "--dhcp": asked.dhcp, "--no-dhcp": not asked.gives,
        "--domain": asked.domain, "--bridge": asked.bridge, "--device": asked.device, "--lease": asked.leases,
        "--dns": asked.names,
    }  # fmt: skip
    suited = {
        ISOLATED: set(given) - {"--device"}, NAT: set(given), ROUTED: set(given), BRIDGE: {"--bridge"},
        HOSTDEV: {"--device"}, MACVTAP: {"--device"},
    }[asked.kind]  # fmt: skip
    return [option for option, value in given.items() if value and option not in suited]


def _missing(asked: Asked) -> list[str]:
    within = asked.gateway or asked.dhcp or asked.leases or asked.names  # what is said of its addresses
    needed = {
        ISOLATED: asked.subnet or not within, NAT: asked.subnet, ROUTED: asked.subnet,
        BRIDGE: asked.bridge, HOSTDEV: asked.device, MACVTAP: asked.device,
    }[asked.kind]  # fmt: skip
    option = "--bridge" if asked.kind == BRIDGE else "--subnet" if asked.kind in OWN else "--device"
    return [] if needed else [option]
