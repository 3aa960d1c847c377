"""Codes of the steps that change networks, and of looking them up."""

from __future__ import annotations

from vfioctl.codes.code import Code

CODES = (
    Code("network.active", "A network is active that has to be stopped, or is to be started.",
         "See it with `vfioctl network list`."),
    Code("network.address_in_use", "Another network, or a route of the host, has addresses that a network is to have.",
         "Choose another subnet, or take that route away first."),
    Code("network.changed", "A network was changed since the plan, or is gone.", "Look at it, then plan it once more."),
    Code("network.exists", "There is a network of that name or UUID already.", "Choose another name."),
    Code("network.in_use", "Guests are on a network that is to be stopped or deleted.",
         "Shut them down, or give them another network."),
    Code("network.inactive", "A network is not active.", "Start it first."),
    Code("network.malformed", "A network, or an entry of one, is not what the step names.",
         "Report it to who made the plugin."),
    Code("network.no_addresses",
         "A network has no IPv4 address that is kept for nobody, and libvirt writes its rules only with such a change.",
         "Without addresses there is nothing to write; else drop one lease for that time: `network set --no-lease`."),
    Code("network.transient", "libvirt has no configuration of a network: it would be gone with its end.",
         "Give it one with `virsh net-define FILE`."),
    Code("network.unknown", "There is no network of that name or UUID.", "List them with `vfioctl network list`."),
)  # fmt: skip
