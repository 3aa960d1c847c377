"""`vfioctl guest attach`, `detach` and `eject`: disks, media and network cards come and go, at once or later."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import click

from vfioctl.plugin import (
    Question,
    Refused,
    Result,
    asking,
    changing,
    guest_names,
    network_names,
    replace,
    usb_devices,
)
from vfioctl_guest import hotplug, settings
from vfioctl_guest.life import find, must_not_be_saved, subject
from vfioctl_guest.names import NOTHING_CHANGED
from vfioctl_guest.places import Change, change
from vfioctl_guest.sources import card_on, cd, in_use, medium
from vfioctl_guest.usb import usb_for, usb_word

if TYPE_CHECKING:
    from vfioctl.plugin import Call, Connection
    from vfioctl_guest.life import Subject

SYSTEM = "guest.unconfirmed_detach"  # what is asked
BUSES = ("virtio", "scsi", "sata", "usb")
later = click.option("--next-start", is_flag=True, help="Leave the running guest alone: from its next start on.")


@click.command()
@click.argument("name", shell_complete=guest_names)
@click.option("--volume", metavar="POOL/VOLUME", help="A volume as a further disk.")
@click.option("--network", metavar="NETWORK", shell_complete=network_names,
              help="A further network card, on this network.")
@click.option("--iso", metavar="POOL/VOLUME", help="A volume as the medium in a CD drive.")
@click.option("--usb", metavar="VENDOR:PRODUCT|BUS.DEVICE", shell_complete=usb_devices,
              help="A USB device of the node.")
@click.option("--bus", type=click.Choice(BUSES), default="virtio", show_default=True, help="How the disk is attached.")
@click.option("--readonly", is_flag=True, help="The guest may not write to the disk.")
@later
@changing
@click.pass_obj
def attach(
    call: Call, name: str, node: str, *, volume: str | None, network: str | None, iso: str | None, usb: str | None,
    bus: str, readonly: bool, next_start: bool, dry_run: bool,
) -> Result:  # fmt: skip
    """Give the guest NAME a disk, a network card, a CD or a USB device: at once where it runs, and at each start then.

    A volume that another guest uses is refused, unless it is only to be read. A CD goes into the drive that the guest
    has; one without a drive gets it with its next start. A USB device must be plugged in, and in use by nobody else.
    """
    if sum(one is not None for one in (volume, network, iso, usb)) != 1:
        said = "One thing is attached at a time: --volume, --network, --iso or --usb."
        raise Refused("guest.attach", said, state=NOTHING_CHANGED)
    with call.connection(node) as connection:
        about = find(call, connection, name)
        must_not_be_saved(about)
        if iso is not None:
            made = _inserted(call, connection, about, iso)
        elif network is not None:
            made = Change("attach", card_on(connection, network))
        elif usb is not None:
            made = usb_for(call, connection, about, usb)
        else:
            made = _disk(call, connection, about, str(volume), bus, readonly=readonly)
    return change(call, about, replace(made, later=next_start or made.later), dry_run=dry_run)


def _disk(call: Call, connection: Connection, about: Subject, word: str, bus: str, *, readonly: bool) -> Change:
    """The volume `word` under the first free target."""
    target = hotplug.free_target(filter(None, (about.guest.xml, about.guest.live_xml)), bus)
    device = hotplug.disk(medium(call, connection, word), target, bus, readonly=readonly)
    return Change("attach", device, findings=in_use(call, connection, about, device, readonly=readonly))


def _inserted(call: Call, connection: Connection, about: Subject, word: str) -> Change:
    """The volume `word` in its CD drive; one without gets a drive, which no running machine can be given."""
    known, found = hotplug.drives(about.guest.xml), cd(call, connection, word)
    if known:
        former = hotplug.named(about.name, about.guest.xml, known[0], only=hotplug.CDROM)
        return Change("media", hotplug.loaded(former, found), former)
    bus = hotplug.bus_of_cds(about.guest.xml)
    target = hotplug.free_target((about.guest.xml,), bus)
    return Change("attach", hotplug.disk(found, target, bus, device=hotplug.CDROM), later=True)


@click.command()
@click.argument("name", shell_complete=guest_names)
@click.argument("device", required=False)
@click.option("--usb", metavar="VENDOR:PRODUCT|BUS.DEVICE", shell_complete=usb_devices,
              help="A USB device that it has.")
@later
@asking
@changing
@click.pass_obj
def detach(
    call: Call, name: str, device: str | None, node: str, *, usb: str | None, next_start: bool, yes: bool, dry_run: bool
) -> Result:
    """Take DEVICE from the guest NAME: a disk by its target or path, a network card by its MAC or network.

    A running guest has to let go of it, so unmount the disk there first: one that does not answer keeps it for now, and
    loses it at its next reset. The disk that a running guest boots from is asked about. Nothing is deleted: the volume
    stays. What is on USB may be unplugged by then; without a guest that has it the node uses it again.
    """
    if (device is None) == (usb is None):
        said = "One device is detached at a time: DEVICE, or one on USB by --usb."
        raise Refused("guest.attach", said, state=NOTHING_CHANGED)
    about = subject(call, name, node)
    must_not_be_saved(about)
    xml = about.guest.xml if next_start else about.guest.live_xml or about.guest.xml
    found = meant(about, xml, device, usb)
    if yes:
        call.agree(SYSTEM)
    asked = None if next_start else _about_the_system(about, found)
    return change(call, about, Change("detach", found, later=next_start, question=asked), dry_run=dry_run)


def meant(about: Subject, xml: str, device: str | None, usb: str | None) -> str:
    """The XML of the `device` that goes, or of one on `usb`; on USB as it is configured, whichever way it was named.

    Raises Refused("device.unknown", "device.ambiguous").
    """
    if usb is None:
        found = hotplug.named(about.name, xml, str(device))
        if not hotplug.is_usb(found):
            return found
    return hotplug.usb_named(about.name, about.guest.xml, xml, usb_word(usb) if usb is not None else str(device))


def _about_the_system(about: Subject, device: str) -> Question | None:
    """What is asked before a running guest loses what it runs from."""
    target = hotplug.names(ET.fromstring(device))[0]
    if not about.guest.live_xml or target != settings.system_disk(about.guest.live_xml):
        return None
    lines = (f"Guest {about.name} runs from its disk {target}, and will lose it: what it has not written is lost.",
             "The volume will stay. Nothing will be left there to boot from.")  # fmt: skip
    return Question(SYSTEM, lines)


@click.command()
@click.argument("name", shell_complete=guest_names)
@click.argument("drive", required=False)
@click.option("--force", is_flag=True, help="Also where the guest has locked the tray.")
@changing
@click.pass_obj
def eject(call: Call, name: str, drive: str | None, node: str, *, force: bool, dry_run: bool) -> Result:
    """Take the medium out of the CD drive of the guest NAME, at once and for good.

    DRIVE is its target, where the guest has several. The drive stays, and `vfioctl guest attach NAME --iso POOL/VOLUME`
    puts another medium into it.
    """
    about = subject(call, name, node)
    must_not_be_saved(about)
    known = hotplug.drives(about.guest.xml)
    if drive is None and len(known) > 1:
        said = f"Guest {about.name} has several CD drives."
        raise Refused("device.ambiguous", said, state=NOTHING_CHANGED, hints=(f"Name one of them: {', '.join(known)}",))
    if drive is None and not known:
        raise Refused("device.unknown", f"Guest {about.name} has no CD drive.", state=NOTHING_CHANGED)
    former = hotplug.named(about.name, about.guest.xml, drive or known[0], only=hotplug.CDROM)
    found = Change("media", hotplug.loaded(former, None), former, force=force)
    return change(call, about, found, dry_run=dry_run, verb="eject")
