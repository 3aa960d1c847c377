"""`vfioctl guest create`: a new guest from a volume or an ISO."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from vfioctl.plugin import asking, card_addresses, changing, network_names, pool_names, replace
from vfioctl_guest.commands.seed_options import seeding
from vfioctl_guest.machine import BIOS, FIRMWARES
from vfioctl_guest.names import check_new
from vfioctl_guest.needs import START_NEEDS
from vfioctl_guest.profiles import Profile, chosen, options, profile_names
from vfioctl_guest.several import numbered, several

if TYPE_CHECKING:
    from vfioctl.plugin import Call, Result
    from vfioctl_guest.seed.given import Given


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
    the volume NAME-seed.iso, when it first boots. That goes when vfioctl starts it after its first shutdown, or with
    the guest.

    With --start, networks that it is on and the pool of its empty disks are started before it where they are not
    active, when that is agreed to, and stopped again where the guest does not start.

    --profile takes what is not typed from a file of root's in /etc/vfioctl/profiles; see `vfioctl guest profile list`.
    """
    from vfioctl_guest import creating  # a completion of these options needs none of it

    wanted = creating.Asked(**asked)
    if yes:
        call.agree(START_NEEDS)
    check_new(name)
    if wanted.gpu:
        call.need_root()
    call.need_uncordoned(node)

    def make(one: str) -> Result:
        return creating.make(call, one, node, wanted, seed, dry_run=dry_run)

    result = make(name) if count is None else several(numbered(name, count, creating.single(wanted, seed)), make)
    return replace(result, data={**result.data, "profile": _used(profile)})


def _used(profile: Profile | None) -> dict[str, Any] | None:
    """What counts of a profile: what was typed stands for itself."""
    if profile is None:
        return None
    ctx = click.get_current_context()
    typed = {name: ctx.params.get(str(option.name)) for name, option in options(ctx.command).items()}
    return {"name": profile.name, "file": profile.file, "settings": profile.rows(typed)}
