"""Codes of the steps that change what libvirt keeps and runs."""

from __future__ import annotations

from vfioctl.codes.code import Code

CODES = (
    Code("device.changed", "A disk or network card of a guest was changed since the plan, or is gone.",
         "Look at it, then plan it once more."),
    Code("device.exists", "A guest has a disk of that target, or a network card of that MAC, already.",
         "Plan it once more."),
    Code("device.malformed", "What a step is to attach or detach is no disk with a target and no card with a MAC.",
         "Report it to who made the plugin."),
    Code("domain.changed", "The configuration of a guest was changed since the plan, or is gone.",
         "Look at it, then plan it once more."),
    Code("domain.exists", "There is a guest of that name or UUID already.", "Choose another name."),
    Code("domain.not_saved", "A guest has no saved memory that it could go on from.", "Start it as any other."),
    Code("domain.nvram_shared", "Another guest has the NVRAM that is to be removed with a guest.",
         "Keep the file; see who has it with `virsh dumpxml GUEST`."),
    Code("domain.off", "A guest is off that has to run.", "Start it first."),
    Code("domain.paused", "A guest is paused already.", "Nothing, or let it go on."),
    Code("domain.running", "A guest runs that has to be off.", "Shut it down first."),
    Code("domain.saved", "A guest has a saved state: its next start would go on from that, on its present disks.",
         "Start it and shut it down, or discard the saved state with `virsh managedsave-remove`."),
    Code("domain.snapshots", "libvirt knows snapshots of a guest that it is to forget.",
         "Delete them with `virsh snapshot-delete`, or with what made them."),
    Code("domain.transient", "A guest has no configuration that stays.", "Define it with `virsh define`."),
    Code("guest.deaf", "A guest did not shut down, or restart, in its time.",
         "Look at its console; `virsh destroy` switches it off, `virsh reset` restarts it."),
    Code("guest.holds", "A running guest has not let go of a device in its time.",
         "Unmount the disk, or set the card down, in the guest; then try again."),
    Code("guest.no_agent", "The agent of a guest is not connected, so that its file systems cannot stand still.",
         "Start qemu-guest-agent in it, or do without a standstill."),
    Code("guest.no_room", "A guest was paused again as soon as it went on: a disk of it cannot be written.",
         "Make room where its disks are, then let it go on."),
    Code("guest.not_frozen", "The file systems of a guest did not come to a standstill.",
         "Look at its agent, or do without a standstill."),
    Code("snapshot.changed", "A snapshot that libvirt knows was changed since the plan, or is gone.",
         "Look at it, then plan it once more."),
    Code("snapshot.exists", "The guest has a snapshot of that name already.", "Choose another name."),
    Code("snapshot.malformed", "What a step is to record is not the snapshot that it names.",
         "Report it to who made the plugin."),
)  # fmt: skip
