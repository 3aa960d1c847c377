"""`vfioctl guest create`: a new guest from a volume or an ISO."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import click

from vfioctl.plugin import (
    Message,
    OperationRequest,
    Result,
    asking,
    card_addresses,
    changing,
    frozen,
    network_names,
    pool_names,
    replace,
    size,
)
from vfioctl_guest import site
from vfioctl_guest.commands.seed_options import seeding
from vfioctl_guest.create import Draft, Wish, draft, handed_over
from vfioctl_guest.host_card import host_card
from vfioctl_guest.machine import BIOS, FIRMWARES, new_mac
from vfioctl_guest.names import check_new, file_names, seed_name, typed
from vfioctl_guest.needs import START_NEEDS, for_new
from vfioctl_guest.profiles import Profile, chosen, options, profile_names
from vfioctl_guest.seed.content import files
from vfioctl_guest.seed.given import Given, read
from vfioctl_guest.seed.iso import image
from vfioctl_guest.several import numbered, several

if TYPE_CHECKING:
    from vfioctl.plugin import Call, ChosenCard, Connection, Question


@click.command()
@click.argument("name")
@click.option("--profile", metavar="PROFILE", is_eager=True, callback=chosen, shell_complete=profile_names,
              help="A set of choices of this host; what is typed wins over it.")
@click.option("--memory", required=True, metavar="SIZE", help="Memory, such as 2G.")
@click.option("--cpus", type=click.IntRange(1), default=1, show_default=True, help="How many CPUs it has.")
@click.option("--template", default="", metavar="TEMPLATE", help="A template that its first disk lies above.")
@click.option("--volume", "volumes", multiple=True, metavar="POOL/VOLUME", help="A volume that becomes its disk.")
@click.option("--disk", "sizes", multiple=True, metavar="SIZE",
              help="Make it an empty disk, such as 20G; with --template the first is how large that disk is.")
@click.option("--pool", default="default", show_default=True, shell_complete=pool_names,
              help="The pool of its empty disks.")
@click.option("--iso", "isos", multiple=True, metavar="PATH", help="An ISO image that it has as a CD.")
@click.option("--network", "networks", multiple=True, metavar="NETWORK", shell_complete=network_names,
              help="A network of libvirt that it is on.")
@click.option("--gpu", default="", metavar="ADDRESS", shell_complete=card_addresses,
              help="A card of this host, or: first-free.")
@click.option("--end-session", is_flag=True, help="With --gpu: its start may end the session of a logged-in user.")
@click.option("--hugepages", default="", metavar="SIZE", help="Its memory is made of huge pages, such as 2M or 1G.")
@click.option("--network-boot/--no-network-boot", default=False,
              help="It boots from its network first, then from its disks.")
@click.option("--windows/--no-windows", default=False,
              help="It will run Windows: Hyper-V's interfaces, a clock in local time.")
@click.option("--firmware", type=click.Choice(FIRMWARES), default=BIOS, show_default=True, help="How it boots.")
@click.option("--tpm/--no-tpm", default=False, help="Give it a TPM 2.0 of its own.")
@click.option("--autostart/--no-autostart", default=False, help="Let it start with its host.")
@click.option("--start", is_flag=True, help="Start it, too.")
@click.option("--count", type=click.IntRange(1), help="Make so many, called NAME-1, NAME-2 and so on.")
@seeding
@asking
@changing
@click.pass_obj
def create(
    call: Call, /, name: str, node: str, *, profile: Profile | None, count: int | None, seed: Given, yes: bool,
    dry_run: bool, **asked: Any,
) -> Result:  # fmt: skip
    """Create the guest NAME: its disks lie above a template, are volumes that are there, or empty ones.

    It gets a serial console, a channel for its agent, a display for this host alone, and room for devices that are
    plugged in later. --dry-run shows the XML as libvirt will get it.

    With --gpu it gets a card of this host with all that goes along, and vfioctl manages it, as with `vfioctl enable`:
    the card is handed over when it starts, and comes home when it stops.

    --user, --hostname, --address and their neighbours are for cloud-init in the guest: it reads them from an ISO image,
    the volume NAME-seed.iso, when it first boots. That goes with its second start by vfioctl, or with the guest.

    With --start, networks that it is on and the pool of its empty disks are started before it where they are not
    active, when that is agreed to, and stopped again where the guest does not start.

    --profile takes what is not typed from a file of root's in /etc/vfioctl/profiles; see `vfioctl guest profile list`.
    """
    wanted = Asked(**asked)
    if yes:
        call.agree(START_NEEDS)
    check_new(name)
    if wanted.gpu:
        call.need_root()
    call.need_uncordoned(node)

    def make(one: str) -> Result:
        return _made(call, one, node, wanted, seed, dry_run=dry_run)

    result = make(name) if count is None else several(numbered(name, count, _single(wanted, seed)), make)
    return replace(result, data={**result.data, "profile": _used(profile)})


def _used(profile: Profile | None) -> dict[str, Any] | None:
    """What counts of a profile: what was typed stands for itself."""
    if profile is None:
        return None
    ctx = click.get_current_context()
    typed = {name: ctx.params.get(str(option.name)) for name, option in options(ctx.command).items()}
    return {"name": profile.name, "file": profile.file, "settings": profile.rows(typed)}


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


def _made(call: Call, name: str, node: str, asked: Asked, seed: Given, *, dry_run: bool) -> Result:
    """One guest, by an operation of its own."""
    with call.connection(node) as connection:
        card = host_card(call, connection, asked.gpu) if asked.gpu else None
        place = site.look(connection, asked.networks, pages=bool(asked.hugepages))
        disks = _disks(call, connection, name, asked)
        cds = tuple(site.iso(call, connection, path) for path in asked.isos)
        wish = asked.wish(name, card)
        its_seed = _seed(call, connection, wish, seed, asked)
        made, question = draft(wish, place, disks, cds, its_seed), None
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
    return (*new, *there) if asked.template else (*there, *new)


def _single(asked: Asked, seed: Given) -> tuple[str, ...]:
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
    return site.image(call, connection, site.volume_of(connection, word))


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
