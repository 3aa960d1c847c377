"""The codes of what `enable` gives a guest besides its card: ROM file, screen, keyboard, shared memory."""

from __future__ import annotations

from vfioctl.codes.code import Code

CODES = (
    Code("controller.keyboard", "A keyboard of this host is plugged into a USB controller that goes to a guest.",
         "Have another one, or a way in by SSH."),
    Code("controller.unknown", "What is named is no USB controller.", "See `vfioctl gpu list --all`."),
    Code("disable.edited", "The domain was edited since `enable`; what that had put in is taken out, the edit stays.",
         "Nothing: it is information."),
    Code("enable.change", "`enable` asks before it changes the domain, and nobody was there, or the answer was no.",
         "Look at the change, then `vfioctl enable GUEST … --yes`; a door repeats the call and agrees to this code."),
    Code("enable.unseen", "What libvirt has made of the changed domain could not be read or kept.",
         "Nothing: `vfioctl disable` takes out what was put in."),
    Code("guest.hidden", "A guest is not told that it runs on KVM, which only old drivers of NVIDIA need.",
         "Take `<hidden>` out with `virsh edit GUEST` where the driver is 465 or newer."),
    Code("input.unknown", "What is named is no input device of this host.", "See `ls /dev/input/by-id/*-event-*`."),
    Code("looking_glass.access", "The client of Looking Glass must be allowed to read the shared memory.",
         "Write the line that is shown into /etc/tmpfiles.d."),
    Code("looking_glass.no_spice", "Looking Glass needs SPICE for keyboard and mouse, and the guest has no screen.",
         "Keep the emulated screen."),
    Code("rom.checksum", "The checksum of a card's ROM is wrong.", "Save it from the card once more."),
    Code("rom.closed", "QEMU cannot read the file with a card's ROM.",
         "Put it into /usr/share/vgabios, readable for everybody."),
    Code("rom.header", "A file does not begin as an option ROM does.",
         "Cut off what a flashing tool has put before it, or take another file."),
    Code("rom.named", "The domain already says where the ROM of a card comes from.",
         "Take that `<rom>` out of the domain first, with `virsh edit GUEST`."),
    Code("rom.no_card", "A ROM is given for a guest that has no card.", "Give it one, too: `--gpu ADDRESS`."),
    Code("rom.other_card", "A ROM is for another card.", "Take the ROM of this very card."),
    Code("rom.secure_boot", "With Secure Boot the guest's firmware runs a card's ROM only as its maker has signed it.",
         "Turn Secure Boot off in the guest, where the file was changed."),
    Code("rom.size", "A file is too large for a ROM, or has no whole blocks of 512 bytes.",
         "Save it from the card once more."),
    Code("rom.structure", "The images in a file are not those of an option ROM.", "Save it from the card once more."),
    Code("rom.unreadable", "The file with a card's ROM cannot be read.", "Correct its path: a whole one, from / on."),
    Code("screen.size", "What is given for Looking Glass is no size of a screen.", "WIDTHxHEIGHT, such as 2560x1440."),
)
