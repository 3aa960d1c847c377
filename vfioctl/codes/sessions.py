"""Codes of what takes over a terminal."""

from __future__ import annotations

from vfioctl.codes.code import Code

CODES = (
    Code("console.busy", "Somebody else has the serial console of a guest open.",
         "Wait for them, or take it from them with `--force`."),
    Code("console.log", "The file that a console is to be kept in cannot be written, or is no plain file of one's own.",
         "Give another path to `--log`."),
    Code("console.lost", "A serial console was closed while its guest runs on.",
         "Open it again; somebody else may have taken it with `--force`."),
    Code("verb.terminal", "A door was asked for a verb that only a terminal has.",
         "Call it on a terminal; `vfioctl verb list` says of each verb whether it is one (`terminal_only`)."),
)  # fmt: skip
