"""What can go wrong, as values: one class with a stable code, an exit status, a cause and hints. Renders nothing."""

from __future__ import annotations

from errno import EFBIG, EINVAL

from vfioctl.checking import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_REFUSED = 3
EXIT_STUCK = 4
EXIT_NOT_ROOT = 77


class VfioctlError(Exception):
    """A failure that was foreseen. Everything else that reaches the top is a bug and keeps its traceback.

    `code` is stable and stands in docs/reference/errors.md; `message` says what failed and on what; `state` says how
    the host stands now; `hints` are next steps, each naming only commands that exist.
    """

    exit_status = EXIT_FAILED

    def __init__(self, code: str, message: str, *, state: str = "", hints: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.state = state
        self.hints = hints

    def __str__(self) -> str:
        parts = [self.message, self.state, *self.hints]
        return " ".join(part for part in parts if part)


def reason(error: Exception) -> str:
    """What Python or the system says of a file that cannot be read, in words of their own for a person."""
    if isinstance(error, Irregular):
        return error.what
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    line = getattr(error, "lineno", None)
    return f"line {line} is not JSON" if line else str(error)


class Refused(VfioctlError):
    """Something was found before anything was touched; the host is as it was."""

    exit_status = EXIT_REFUSED


class Irregular(Refused, OSError, ValueError):
    """What should be a plain file is something else, somebody else's or too large; it was not read.

    An OSError and a ValueError as well: who takes a file that cannot be read, or is damaged, takes this one too.
    """

    def __init__(self, path: str, what: str, *, large: bool = False) -> None:
        super().__init__(
            "file.irregular", f"{path} is not used: {what}.", hints=("vfioctl makes no such file: put it aside.",)
        )
        self.what = what
        self.filename, self.strerror, self.errno = path, what, EFBIG if large else EINVAL


class Unanswered(Refused):
    """A path did not answer in its time; the child that looks at it still waits in the kernel."""

    def __init__(self, path: str) -> None:
        super().__init__(
            "path.unanswered", f"{path} does not answer: what it is on hangs, as a share does whose server is gone.",
            hints=("See what it is on with: findmnt",),
        )  # fmt: skip


class Busy(VfioctlError):
    """Another hand-off has what is needed: nothing of it was done, and it is worth another try."""

    def __init__(self, message: str, *, hints: tuple[str, ...] = ()) -> None:
        super().__init__("lock.busy", message, hints=hints)


class ConfigError(Refused):
    """A configuration file says something that cannot be meant."""


class StepFailed(VfioctlError):
    """A step was tried and did not do its work."""


class StepRefused(StepFailed):
    """A step found, before its first effect, that it must not be done: it has changed nothing, and is not undone.

    Raised by `apply`; whatever `guard` raises means the same. After any other error the step counts as begun.
    """


class DeadlineExceeded(StepFailed):
    """A step's condition did not come true in its time."""


class Stuck(StepFailed):
    """A kernel write does not return; nothing more may touch that device."""

    exit_status = EXIT_STUCK


def stuck_in_kernel(resource: str) -> Stuck:
    """The error about a `resource` on which a kernel write has not returned."""
    return Stuck("device.stuck", f"{resource} is stuck in the kernel.", hints=("See: vfioctl status",))


class NotRoot(Refused):
    """The command changes the host and needs root."""

    exit_status = EXIT_NOT_ROOT


def packed(error: VfioctlError) -> list[Any]:
    """`error` as JSON keeps it, for the process that asked."""
    name = next(one.__name__ for one in type(error).__mro__ if one.__module__ == __name__)
    return [name, error.code, error.message, error.state, error.hints]


def unpacked(name: str, code: str, message: str, state: str, hints: list[str]) -> VfioctlError:
    """The same again. What says more of a file than a sentence is Refused, as that is all that was kept of it."""
    kind = Refused if name in {Irregular.__name__, Unanswered.__name__} else globals()[name]
    error: VfioctlError = kind.__new__(kind)
    VfioctlError.__init__(error, code, message, state=state, hints=tuple(hints))
    return error
