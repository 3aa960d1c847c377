"""The codes of pools, volumes and sizes, as steps and verbs of any plugin use them."""

from __future__ import annotations

from vfioctl.codes.code import Code

CODES = (
    Code("size.malformed", "What was given is no size.", "Write a number and its unit: 512M, 20G, 1.5TiB."),
    Code("size.no_unit", "A size has no unit, which tools read differently: MiB or KiB.",
         "Write the unit: 2048M, 2G."),
)  # fmt: skip
