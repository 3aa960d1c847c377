"""The codes of pools, volumes, templates and sizes, as steps and verbs of any plugin use them."""

from __future__ import annotations

from vfioctl.codes.code import Code

CODES = (
    Code("pool.active", "A pool is active that is to be started or deleted.", "Leave it, or stop it first."),
    Code("pool.changed", "A pool, or its directory, was changed since the plan, or is gone.",
         "Look at it with `vfioctl pool show POOL`, then plan it once more."),
    Code("pool.exists", "There is a pool of that name or UUID already.", "Choose another name."),
    Code("pool.inactive", "A pool is not active, so that libvirt does not work with its volumes.",
         "Start it with `vfioctl pool start POOL`."),
    Code("pool.transient", "A pool has no configuration: it is gone when it is stopped.",
         "Define it with `virsh pool-define FILE`."),
    Code("pool.unknown", "There is no pool of that name.", "List them with `vfioctl pool list`."),
    Code("pool.used", "Guests have disks in a pool that is to be stopped or deleted.",
         "Shut the guests down, or move their disks."),
    Code("size.malformed", "What was given is no size.", "Write a number and its unit: 512M, 20G, 1.5TiB."),
    Code("size.no_unit", "A size has no unit, which tools read differently: MiB or KiB.",
         "Write the unit: 2048M, 2G."),
    Code("template.ambiguous", "Several pools have a template of that name.", "Name it as POOL/NAME."),
    Code("template.changed", "The image of a template is not as it was added, so that nothing is made of it.",
         "Add it anew under another name; what lies above the old one mixes old and new."),
    Code("template.damaged", "What is written down of a template cannot be used, or its image is gone.",
         "See the reason that is given."),
    Code("template.unknown", "There is no template of that name.", "List them with `vfioctl template list`."),
    Code("volume.backing", "What a volume lies above is missing, or is no file of a pool, as a server of NBD; or a "
         "volume has its data in another file.",
         "Put it back, or make the volume whole with `qemu-img convert`."),
    Code("volume.busy", "A running guest has a volume that is to be changed, or libvirt still fills it.",
         "Shut the guest down, or wait."),
    Code("volume.changed", "A volume was changed since the plan, or is gone.",
         "Look at it with `vfioctl volume show`, then plan it once more."),
    Code("volume.checksum", "A file that was brought into a volume has another checksum than was said.",
         "Look whether the file or its checksum was renewed."),
    Code("volume.exists", "There is a volume of that name in the pool already.", "Choose another name."),
    Code("volume.fixed", "libvirt changes the size of no volume in such a pool, as in a volume group.",
         "Change it with LVM, then let libvirt look anew: `vfioctl pool refresh POOL`."),
    Code("volume.format", "A volume has another format than was said.", "Look at it with `qemu-img info`."),
    Code("volume.outside", "What a volume lies above, or is to, is in no active pool.",
         "Bring it into a pool, or start the pool that it is in."),
    Code("volume.unmarked", "A new volume could not bear the mark that says whose it is, so it was removed again.",
         "See whether libvirt and vfioctl see the same mounts, with `findmnt`."),
    Code("volume.unknown", "There is no volume of that name in the pool.",
         "List them with `vfioctl volume list POOL`."),
    Code("volume.used", "A guest, a snapshot, or a volume above it, needs a volume that is to be deleted or changed.",
         "Delete what needs it first."),
)  # fmt: skip
