"""Errors of a call itself: a wrong parameter, a caller who interrupts it."""

from __future__ import annotations

from vfioctl.errors import EXIT_USAGE, VfioctlError


class Misuse(VfioctlError):
    """The call of `verb` is wrong; nothing was looked at. The same code and exit status as a wrong command line."""

    exit_status = EXIT_USAGE

    def __init__(self, verb: str, message: str) -> None:
        super().__init__("usage", message, hints=(f"See: vfioctl {verb} --help",))


class Interrupted(VfioctlError):
    """The user pressed ^C; a hand-off that was running is finished or undone by `recover`."""

    exit_status = 130

    def __init__(self, message: str = "Interrupted.") -> None:
        super().__init__("interrupted", message, hints=("See how things are with: vfioctl status",))
