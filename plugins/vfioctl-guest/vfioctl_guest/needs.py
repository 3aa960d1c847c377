"""What a guest needs of its node to start: its networks and pools, active. What is not is started before it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from vfioctl.plugin import (
    Finding,
    Guest,
    Question,
    StepProposal,
    argument,
    frozen,
    read_networks,
    read_pools,
)
from vfioctl_guest.life import OFF, Subject

if TYPE_CHECKING:
    from vfioctl.plugin import Call, Connection, Network, Pool
    from vfioctl_guest.create import Draft
    from vfioctl_guest.site import Image

START_NEEDS = "guest.unconfirmed_needs"  # what is asked
MOUNTING = 120.0  # seconds: a share that does not answer


@frozen
class Needs:
    """Networks and pools of a guest that are not active, and what speaks against starting them, or it at all."""

    networks: tuple[Network, ...] = ()
    pools: tuple[Pool, ...] = ()
    findings: tuple[Finding, ...] = ()


def unmet(call: Call, connection: Connection, about: Subject, making: frozenset[str] = frozenset()) -> Needs:
    """What is missing for the start of the guest, whose new volumes are in the pools `making`. Raises VfioctlError."""
    root = ET.fromstring(about.guest.xml)
    networks, pools = read_networks(connection), read_pools(connection)
    wanted = {one.get("network", "") for one in root.iterfind("devices/interface[@type='network']/source")}
    sources = root.findall("devices/disk/source")
    named = {one.get("pool", "") for one in sources}
    files = {one.get("file") or one.get("dev") or "" for one in sources} - {""}
    off = tuple(one for one in networks if one.name in wanted and not one.active)
    stopped = tuple(one for one in pools if not one.is_active)
    return Needs(
        off, tuple(one for one in stopped if one.name in named or one.uuid in making or _has(one, files)),
        (*_missing(about, "guest.no_network", "network", "is on", wanted - {one.name for one in networks}),
         *_missing(about, "guest.no_pool", "pool", "has a disk in", named - {one.name for one in pools}),
         *_conflicts(call, about, off, networks)),
    )  # fmt: skip


def for_new(
    call: Call, connection: Connection, made: Draft, images: Iterable[Image]
) -> tuple[Draft, Question | None]:
    """`made` after what its guest needs for its first start, and what is asked for that. Raises VfioctlError."""
    machine, node = made.machine, connection.node
    guest = Guest(machine.uuid, machine.name, OFF, persistent=True, saved=False, xml=made.xml)
    about = Subject(guest, str(node), node.uri, node.is_local, managed=bool(machine.hostdevs))
    making = frozenset(one.blank.pool for one in images if one.blank and one.blank.later)
    needs = unmet(call, connection, about, making)
    return made.after(needed(about, needs), needs.findings), asked(about, needs)


def _has(pool: Pool, files: Iterable[str]) -> bool:
    """Whether one of `files` is there only while the pool is active."""
    place = pool.path.rstrip("/")
    return bool(place) and not pool.is_in_place and any(file.startswith(f"{place}/") for file in files)


def _missing(about: Subject, code: str, what: str, how: str, names: Iterable[str]) -> Iterator[Finding]:
    for name in sorted(filter(None, names)):
        text = f"Guest {about.name} {how} the {what} {name}, which its node does not have."
        yield Finding(code, text, hint=f"See what it has: vfioctl {what} list{about.there}")


def _conflicts(call: Call, about: Subject, off: Iterable[Network], networks: Iterable[Network]) -> Iterator[Finding]:
    """Routes come and go while a network is off; those of another node cannot be seen."""
    from vfioctl.plugin import address_conflicts, destinations, taken_addresses  # a completion compares no addresses

    routes = destinations(call.paths) if about.local else ()
    for network in off:
        others = taken_addresses(networks, routes, but=network.uuid)
        yield from (found for one in network.subnets for found in address_conflicts(one.cidr, others))


def needed(about: Subject, needs: Needs) -> tuple[StepProposal, ...]:
    """The steps that start them: independent of each other, and before that of the guest."""
    each = [("network", one.uuid) for one in needs.networks] + [("pool", one.uuid) for one in needs.pools]
    return tuple(
        StepProposal(
            id=f"guest.{what}-start:{number}", kind=f"{what}.start", params={"uri": about.uri, "uuid": uuid},
            reason=f"the guest {about.name} needs it", deadline=MOUNTING,
        ) for number, (what, uuid) in enumerate(each)
    )  # fmt: skip


def asked(about: Subject, needs: Needs) -> Question | None:
    """What a person agrees to before they are started, each with the command that does it alone; None for nothing."""
    each = [("network", one.name) for one in needs.networks] + [("pool", one.name) for one in needs.pools]
    lines = tuple(
        f"The {what} {name} is not active, and is started first: vfioctl {what} start {argument(name)}{about.there}"
        for what, name in each
    )
    return Question(START_NEEDS, lines) if lines else None
