"""What a check reports: one finding and how much it weighs. Plain data; decides nothing."""

from __future__ import annotations

from enum import StrEnum

from vfioctl.frozen import frozen


class Severity(StrEnum):
    """What a finding does: block refuses the start, warn and info are shown and let it go on."""

    BLOCK = "block"
    WARN = "warn"
    INFO = "info"


@frozen
class Finding:
    """Something that a check saw. `code` is stable; `message` one clear sentence; `hint` the next command.

    `evidence`: what was read, and where, for those who want to look for themselves.
    """

    code: str
    message: str
    severity: Severity = Severity.BLOCK
    hint: str = ""
    source: str = "core"  # the plugin or part that found it
    evidence: str = ""
