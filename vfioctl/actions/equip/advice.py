"""What a beginner stumbles over with a card in a guest, as sentences of `enable`. Reads the domain as it is to be.

What `doctor` says of a guest is said here too, with the option that helps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vfioctl.actions.equip.devices import MEMORY, hides
from vfioctl.doctor import guest_input, guest_screen
from vfioctl.doctor.definitions import Definition, Definitions, defined
from vfioctl.findings import Finding, Severity
from vfioctl.frozen import replace
from vfioctl.host.inputs import keyboards_behind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vfioctl.actions.equip.choosing import Chosen
    from vfioctl.host.host import Host

NVIDIA = 0x10DE
SINCE = "465 (2021)"  # the first driver of NVIDIA for GeForce cards in a guest that knows of KVM (its release notes)
# What helps against what `doctor` finds, while the guest is being given its card.
OPTIONS = {
    "domain.no_input": "Give it some: --evdev /dev/input/by-id/… or --usb ADDRESS",
    "domain.virtual_display": "Keep it until the card's driver runs there, then take it away: --display none",
    "domain.no_uefi": "An installed system seldom survives the change: make the guest anew, with UEFI.",
}


def advice(xml: bytes, chosen: Chosen, host: Host) -> Iterator[Finding]:
    """What is to be said of a guest with a card; nothing of one without."""
    guest = defined(host, "the domain", xml) if chosen.card else None
    if guest is None or chosen.card is None:
        return
    for finding in (*guest_screen.look(guest, Definitions(), host), *guest_input.look(guest, Definitions(), host)):
        if finding.code in OPTIONS:
            yield replace(finding, hint=OPTIONS[finding.code], evidence="")
    yield from _hiding(xml, chosen.card.vendor, asked=chosen.outfit.hidden)
    if chosen.outfit.roms and _is_secure(guest):
        said = "With Secure Boot the guest's firmware runs a card's ROM only as its maker has signed it."
        yield Finding("rom.secure_boot", said, Severity.INFO, hint="Where the file was changed, turn Secure Boot off.")
    if chosen.outfit.memory:
        yield from _looking_glass(chosen.outfit.memory, guest)
    yield from _keyboards(chosen, host)


def _is_secure(guest: Definition) -> bool:
    system = guest.root.find("os")
    loader = system.find("loader") if system else None
    firmware = system.find("firmware") if system else None
    chosen = firmware.all("feature") if firmware else ()
    return (loader is not None and loader.get("secure") == "yes") or any(
        one.get("name") == "secure-boot" and one.get("enabled") == "yes" for one in chosen
    )


def _hiding(xml: bytes, vendor: int, *, asked: bool) -> Iterator[Finding]:
    """NVIDIA's drivers refused to run in a guest until then."""
    if vendor != NVIDIA and hides(xml):
        said = "The guest is not told that it runs on KVM; only drivers of NVIDIA ever wanted that."
    elif asked:
        said = f"Only a driver of NVIDIA older than {SINCE} needs a guest that does not know of KVM."
    elif hides(xml):
        said = f"The guest is not told that it runs on KVM; drivers of NVIDIA since {SINCE} do not need that."
    else:
        return
    hint = "Leave <hidden> away, or take it out with `virsh edit`, where the driver is newer."
    yield Finding("guest.hidden", said, Severity.INFO, hint=hint)


def _looking_glass(size: int, guest: Definition) -> Iterator[Finding]:
    said = f"Looking Glass shares {size} MiB in /dev/shm/{MEMORY}, which its client must be allowed to read."
    line = f"f /dev/shm/{MEMORY} 0660 USER kvm -"
    hint = f"Write `{line}` with your name into /etc/tmpfiles.d/looking-glass.conf, then: systemd-tmpfiles --create"
    yield Finding("looking_glass.access", said, Severity.INFO, hint=hint)
    if not any(one.get("type") == "spice" for one in guest.all("graphics")):
        said = "Looking Glass sends keyboard and mouse through SPICE, which the guest does not have."
        yield Finding("looking_glass.no_spice", said, Severity.WARN, hint="Keep its screen, of the type spice.")


def _keyboards(chosen: Chosen, host: Host) -> Iterator[Finding]:
    """A controller takes along whatever is plugged into it."""
    for address in chosen.outfit.hostdevs:
        if names := keyboards_behind(host.paths, address):
            said = f"The keyboard {', '.join(names)} is plugged into {address}: this host is without it meanwhile."
            yield Finding("controller.keyboard", said, Severity.WARN, hint="Have another one, or a way in by SSH.")
