"""What `vfioctl guest create` is asked for, as one operation for each guest that it makes."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from vfioctl.plugin import Message, OperationRequest, Result, frozen, size
from vfioctl_guest import site
from vfioctl_guest.create import Draft, Wish, draft, handed_over
from vfioctl_guest.host_card import host_card
from vfioctl_guest.machine import new_mac
from vfioctl_guest.names import file_names, seed_name, typed
from vfioctl_guest.needs import for_new
from vfioctl_guest.seed.content import files
from vfioctl_guest.seed.given import Given, read
from vfioctl_guest.seed.iso import image
from vfioctl_guest.sources import must_differ

if TYPE_CHECKING:
    from vfioctl.plugin import Call, ChosenCard, Connection, Question


@frozen
class Asked:
    """What is asked for each guest that is made, as it was typed."""

    memory: str
    cpus: int
    template: str
    volumes: tuple[str, ...]
    sizes: tuple[str, ...]
    pool: str
    isos: tuple[str, ...]
    networks: tuple[str, ...]
    gpu: str
    end_session: bool
    hugepages: str
    network_boot: bool
    windows: bool
    firmware: str
    tpm: bool
    autostart: bool
    start: bool

    @property
    def first_pool(self) -> str:
        """The pool of its first disk."""
        named = self.volumes[0].partition("/")[0] if self.volumes and not self.template else ""
        return named or self.pool

    def wish(self, name: str, card: ChosenCard | None) -> Wish:
        """The guest `name`, with names that nobody has and a `card` of the host."""
        return Wish(
            name, str(uuid.uuid4()), size(self.memory), self.cpus, self.firmware, self.tpm, self.autostart, self.start,
            windows=self.windows, page=size(self.hugepages) if self.hugepages else 0, network_boot=self.network_boot,
            hostdevs=card.functions if card else (), macs=tuple(new_mac() for _ in self.networks),
        )  # fmt: skip


def make(call: Call, name: str, node: str, asked: Asked, seed: Given, *, dry_run: bool) -> Result:
    """One guest, by an operation of its own."""
    with call.connection(node) as connection:
        card = host_card(call, connection, asked.gpu) if asked.gpu else None
        place = site.look(connection, asked.networks, pages=bool(asked.hugepages))
        disks = _disks(call, connection, name, asked)
        cds = tuple(site.iso(call, connection, path) for path in asked.isos)
        wish = asked.wish(name, card)
        its_seed = _seed(call, connection, wish, seed, asked)
        made, question = draft(wish, place, disks, cds, its_seed), None
        made = made.after((), tuple(site.outgrowing(connection, disks)))
        if wish.start:
            made, question = for_new(call, connection, made, (*disks, *((its_seed,) if its_seed else ())))
    if card:
        end = None if not (dry_run or asked.end_session) else asked.end_session
        made = handed_over(made, card, call.enabling(made.xml, end_session=end))
    return _performed(call, place, made, wish, question, dry_run=dry_run)


def _disks(call: Call, connection: Connection, name: str, asked: Asked) -> tuple[site.Image, ...]:
    """The one above a template comes first, else those that are there."""
    sizes = tuple(map(size, asked.sizes))
    new = _new(call, connection, Room(name, asked.template, asked.pool, sizes, starts=asked.start))
    there = tuple(_disk(call, connection, word) for word in asked.volumes)
    must_differ(call, connection, tuple(one.path for one in there))
    return (*new, *there) if asked.template else (*there, *new)


def single(asked: Asked, seed: Given) -> tuple[str, ...]:
    """The options given that no two guests can share."""
    given = {"--volume": asked.volumes, "--address": seed.address, "--network-config": seed.network_config}
    return tuple(option for option, value in given.items() if value)


@frozen
class Room:
    """Which disks are to be made for the guest `name`, in `pool`: those of `sizes`, the first of a `template`.

    `starts`: a pool that is not active is started before.
    """

    name: str
    template: str
    pool: str
    sizes: tuple[int, ...]
    starts: bool


def _new(call: Call, connection: Connection, room: Room) -> tuple[site.Image, ...]:
    sizes = room.sizes or ((0,) if room.template else ())
    files = zip(file_names(room.name), sizes, strict=False)
    made = [site.blank(call, connection, room.pool, file, count, starts=room.starts) for file, count in files]
    images = [image for image, _ in made]
    if room.template:
        images[0] = site.above(connection, room.template, *made[0])
    return tuple(images)


def _seed(call: Call, connection: Connection, wish: Wish, given: Given, asked: Asked) -> site.Image | None:
    """The seed that is to be made beside its first disk, None where nothing is asked for it."""
    seed = read(call, given, wish.name, cards=len(wish.macs))
    if seed is None:
        return None
    content = image(files(seed, wish.uuid, wish.macs))
    return site.filled(call, connection, asked.first_pool, seed_name(wish.name), content, starts=asked.start)


def _disk(call: Call, connection: Connection, word: str) -> site.Image:
    return site.image(call, connection, site.volume_of(call, connection, word))


def _performed(
    call: Call, place: site.Site, made: Draft, wish: Wish, question: Question | None, *, dry_run: bool
) -> Result:
    request = OperationRequest(
        plugin="guest", operation="guest create", subject=f"guest:{wish.name}", key=str(uuid.uuid4()),
        proposals=made.steps, contents=made.contents, findings=made.findings, notes=made.notes,
        question=question,
    )  # fmt: skip
    result = call.perform(request, dry_run=dry_run, apart=wish.start and bool(wish.hostdevs))
    ended = Result(
        data={**result.data, "guest": _shown(made, place), "xml": made.xml if dry_run else ""},
        messages=result.messages, errors=result.errors, exit_status=result.exit_status,
    )  # fmt: skip
    if dry_run or result.exit_status or wish.start:
        return ended
    hint = f"Start it with: vfioctl guest start {typed(wish.name, place.node)}"
    return ended.saying(Message(f"Guest {wish.name} is off.", hint=hint))


def _shown(made: Draft, place: site.Site) -> dict[str, Any]:
    machine = made.machine
    return {
        "name": machine.name, "uuid": machine.uuid, "node": str(place.node), "cpus": machine.cpus,
        "memory": machine.memory, "firmware": machine.firmware, "nvram": machine.nvram,
        "seed": machine.seed,
        "disks": [
            {"target": one.target, "source": one.path, "format": one.format, "cdrom": one.cdrom}
            for one in machine.drives
        ],
        "devices": list(machine.hostdevs),
        "networks": [{"network": one.network, "mac": one.mac} for one in machine.cards],
    }  # fmt: skip
