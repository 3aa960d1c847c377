"""Runs programs that set things up, through `sh`: never on the hook path or for a step. No tty, fixed environment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vfioctl.errors import DeadlineExceeded, VfioctlError

if TYPE_CHECKING:
    from vfioctl.proc import Programs

DEADLINE = 20.0


class SetupPrograms:
    """Programs out of the same directories as those of the hook path."""

    def __init__(self, programs: Programs) -> None:
        self._programs = programs

    def find(self, name: str) -> str | None:
        """The full path of the program `name`, or None."""
        return self._programs.find(name)

    def run(self, name: str, *arguments: str, stdin: bytes = b"", deadline: float = DEADLINE) -> bytes:
        """What `name` writes to its standard output. Raises VfioctlError with its whole stderr, DeadlineExceeded."""
        import sh

        path = self.find(name)
        if path is None:
            raise VfioctlError("program.missing", f"The program {name} is not installed.")
        try:
            ended = sh.Command(path)(
                *arguments, _in=stdin, _tty_out=False, _tty_in=False, _env=self._programs.environment,
                _timeout=deadline, _new_session=True, _return_cmd=True,
            )  # fmt: skip
        except sh.TimeoutException as error:
            raise DeadlineExceeded("program.deadline", f"{name} did not end within {deadline:g} s.") from error
        except sh.ErrorReturnCode as error:
            said = " ".join(error.stderr.decode(errors="replace").split()) or "it said nothing"
            raise VfioctlError("program.failed", f"{name} ended with status {error.exit_code}: {said}") from error
        return bytes(ended.stdout)
