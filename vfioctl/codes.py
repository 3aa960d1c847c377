"""Every stable code of an error or a finding, what it means and what to do: the source of docs/reference/errors.md."""

from __future__ import annotations

from typing import NamedTuple


class Code(NamedTuple):
    code: str
    meaning: str
    remedy: str


CODES = (
    Code("device.stuck", "A kernel write on the device does not return.", "End what uses the device; else reboot."),
    Code("identity.changed", "Another card is at the address that was pinned for the guest.", "Correct the domain, then `vfioctl enable GUEST`."),
    Code("identity.malformed", "The file of pinned identities is damaged.", "Pin them anew with `vfioctl enable GUEST`."),
    Code("kernel.stuck", "A kernel write did not return within its deadline.", "End what uses the device; else reboot."),
    Code("lock.busy", "Another process hands this guest or resource off right now.", "Wait for it, or `vfioctl recover --abort GUEST`."),
    Code("program.deadline", "A helper program did not end in its time and was killed.", "See its output in the log."),
    Code("program.missing", "A program that a step needs is not installed.", "Install the package that holds it."),
    Code("program.unusable", "A program that a step needs cannot be started.", "Check its mode and its interpreter."),
    Code("step.unknown", "A journal or a plugin names a step kind that this version does not have.", "Update vfioctl."),
)  # fmt: skip
