"""The codes of libvirt's answers over a connection, and of nodes."""

from __future__ import annotations

from vfioctl.codes.code import Code

CODES = (
    Code("guest.locked", "Another call of libvirt works on the guest.",
         "Wait for it; `virsh domjobinfo GUEST` says what it is."),
    Code("guest.state", "libvirt does not do this with a guest in its present state.",
         "See the state with `virsh domstate GUEST`."),
    Code("guest.unseen", "What another guest uses could not be read, so nothing is taken away.",
         "Ask as root; see the guest with `virsh dumpxml GUEST`."),
    Code("libvirt.denied", "libvirt does not let this user do it.",
         "Ask as root, or as a member of the group libvirt."),
    Code("libvirt.failed", "libvirt refused or failed, in its own words.", "See the log: `journalctl -u libvirtd`."),
    Code("libvirt.missing", "libvirt-python is not installed.",
         "docs/how-to/install.md says how to install it beside vfioctl."),
    Code("libvirt.other_root", "Another root directory has no libvirt daemon of its own.",
         "Ask without --root."),
    Code("libvirt.unanswered", "libvirt did not answer in time; it may still come to it.",
         "See what it does: `virsh list --all`, `systemctl status libvirtd`."),
    Code("libvirt.unsupported", "This version of libvirt or its driver cannot do it.",
         "See the version with `virsh version`."),
    Code("node.unknown", "There is no node of that name.", "See `/etc/vfioctl/nodes`."),
    Code("node.uri", "A URI is none that a node may have.",
         "Use qemu:///system, qemu+ssh, qemu+tls, or qemu+tcp on the loopback."),
    Code("snapshot.unknown", "There is no snapshot of that name.", "List them with `virsh snapshot-list GUEST`."),
)  # fmt: skip
