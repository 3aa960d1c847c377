"""Every stable code of an error or a finding, what it means and what to do: the source of docs/reference/errors.md."""

from __future__ import annotations

from typing import NamedTuple


class Code(NamedTuple):
    code: str
    meaning: str
    remedy: str


CODES = (
    Code("device.bridge", "A device to hand over is a bridge.",
         "Remove it from the guest: bridges stay with the host."),
    Code("device.missing", "A device to hand over does not exist.",
         "Correct the address in the domain XML or the guest file."),
    Code("device.mounted", "A device to hand over is the controller of a mounted disk.",
         "Unmount it, or remove it from the guest."),
    Code("device.only_network", "A device to hand over is the only network card in use.",
         "Remove it from the guest."),
    Code("device.stuck", "A kernel write on the device does not return.", "End what uses the device; else reboot."),
    Code("generic.nvidia", "A device on the nvidia driver has no plugin that may unbind it.",
         "Install vfioctl-nvidia."),
    Code("group.unviable", "A member of the IOMMU group that stays on the host has a driver.",
         "Take it along with `include` in the guest file."),
    Code("identity.changed", "Another card is at the address that was pinned for the guest.", "Correct the domain, then `vfioctl enable GUEST`."),
    Code("identity.malformed", "The file of pinned identities is damaged.", "Pin them anew with `vfioctl enable GUEST`."),
    Code("iommu.off", "The kernel runs without an IOMMU.",
         "Turn it on in the firmware and on the kernel command line."),
    Code("kernel.stuck", "A kernel write did not return within its deadline.", "End what uses the device; else reboot."),
    Code("lock.busy", "Another process hands this guest or resource off right now.", "Wait for it, or `vfioctl recover --abort GUEST`."),
    Code("plugin.api", "A plugin is written for another version of the plugin interface.",
         "Update the plugin or vfioctl."),
    Code("plugin.bad_result", "A plugin returned something that its hook must not return.",
         "Report it to the plugin's author; see `vfioctl plugins list`."),
    Code("plugin.broken", "An installed plugin cannot be loaded.",
         "Repair or remove it; see `vfioctl plugins list`."),
    Code("plugin.failed", "A plugin raised an error in one of its hooks.",
         "Report it to the plugin's author; see `vfioctl plugins list`."),
    Code("plugin.hung", "A plugin did not return from a hook in its time.",
         "Report it to the plugin's author; see `vfioctl plugins list`."),
    Code("plugin.manifest", "The list of installed plugins cannot be rebuilt.",
         "Rebuild it with `vfioctl plugins refresh`."),
    Code("plugin.tie", "Two plugins claim one device or disk with the same rank.",
         "Decide with `handler` in the guest file."),
    Code("plugin.unknown_hook", "A plugin has a function named like a hook that is none.",
         "Report it to the plugin's author."),
    Code("program.deadline", "A helper program did not end in its time and was killed.", "See its output in the log."),
    Code("program.missing", "A program that a step needs is not installed.", "Install the package that holds it."),
    Code("program.unusable", "A program that a step needs cannot be started.", "Check its mode and its interpreter."),
    Code("step.unknown", "A journal or a plugin names a step kind that this version does not have.", "Update vfioctl."),
)  # fmt: skip
