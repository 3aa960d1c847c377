"""Errors of a call itself: a wrong parameter, a question without an answer, a caller who interrupts it."""

from __future__ import annotations

from vfioctl.errors import EXIT_USAGE, Refused, VfioctlError


class Misuse(VfioctlError):
    """The call of `verb` is wrong; nothing was looked at. The same code and exit status as a wrong command line."""

    exit_status = EXIT_USAGE

    def __init__(self, verb: str, message: str) -> None:
        super().__init__("usage", message, hints=(f"See: vfioctl {verb} --help",))


class Interrupted(VfioctlError):
    """^C, SIGTERM or SIGHUP came; a hand-off that was running is finished or undone by `recover`."""

    exit_status = 130

    def __init__(self, message: str = "Interrupted.") -> None:
        super().__init__("interrupted", message, hints=("See how things are with: vfioctl status",))


class Unconfirmed(Refused):
    """A question that was not answered with yes; its code is what a caller agrees to. `lines`: what would be done."""

    def __init__(self, code: str, message: str, lines: tuple[str, ...], *, hints: tuple[str, ...] = ()) -> None:
        super().__init__(code, message, state="Nothing was changed.", hints=hints)
        self.lines = lines


def os_failure(error: OSError) -> VfioctlError:
    """A full disk, a read-only file system, a file that may not be read: no bug, and worth one sentence."""
    where = f"{error.filename}: " if error.filename else ""
    return VfioctlError("os.failed", f"{where}{error.strerror or type(error).__name__}.",
                        hints=("See how things are with: vfioctl status",))  # fmt: skip
