"""Codes about disk images that steps make and remove."""

from __future__ import annotations

from vfioctl.codes.code import Code

CODES = (
    Code("disk.busy", "A guest or a program has a disk image open that is to be used or removed.",
         "Shut the guest down, or end the program, then try again."),
    Code("disk.changed", "A disk image lies over another one than was planned, so that it is left alone.",
         "Look at the chain with `qemu-img info --backing-chain`, then plan it once more."),
    Code("disk.claimed", "A drive that a guest is to get, or a pool to mount, is in use: this host has it, or a part "
         "of it, mounted, as swap or below something else, or a guest has it as a disk.",
         "Unmount it, or end what is said to be on it, or take another one."),
    Code("disk.different", "What was written of a disk image is not the same to a guest, so that the image was kept.",
         "Look at the disk that it lies on, and at the kernel's log, for errors; then try again."),
    Code("disk.failed", "qemu-img could not make a disk image.", "See the reason that is given."),
    Code("disk.incomplete", "A disk image that another one is based on does not exist.",
         "Bring the file back, or correct its name with `qemu-img rebase -u`."),
    Code("disk.no_room", "The disk has no room for an image that is to be made.", "Make room first."),
    Code("disk.not_below", "The image that is to lie below a merged one does not lie below its source.",
         "Look at the chain with `qemu-img info --backing-chain`."),
    Code("disk.read_only", "An image would be made on a file system that is mounted read-only.",
         "Mount it for writing, or choose another place."),
    Code("disk.too_deep", "More images lie below one than libvirt follows, or they lie in a circle.",
         "Look at the chain with `qemu-img info --backing-chain`."),
    Code("disk.too_small", "An image would be smaller than what lies below it, and cut it off.",
         "Give it at least that size."),
    Code("disk.unmarked", "The file system keeps no extended attributes, so that an image that is made there could "
         "not be told from somebody else's.", "Keep the images on another file system, or mount it with them."),
    Code("disk.unreadable", "A disk image cannot be read in the format that is stated.",
         "Look at it with `qemu-img info`."),
    Code("disk.unstated", "An image does not say which format the one below it has.",
         "Add it with `qemu-img rebase -u -F FORMAT -b FILE IMAGE`, if you are sure of the format."),
    Code("disk.unsupported", "Nothing can be made from a disk image: it is encrypted, damaged, has its data elsewhere "
         "or has internal snapshots.", "See the reason that is given."),
)  # fmt: skip
