"""Which session is carried out by what. JSON has none: it describes what would be done with a terminal."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, NoReturn

from vfioctl.errors import VfioctlError
from vfioctl.frozen import replace
from vfioctl.proc import become
from vfioctl.sessions import ConsoleSession

if TYPE_CHECKING:
    from vfioctl.result import Result
    from vfioctl.sessions import ProgramSession, Session


def carried_out(result: Result, session: Session, environ: Mapping[str, str]) -> Result:
    """What is to be shown of `result` when its `session` has ended; a program does not come back. Raises as they do."""
    if not isinstance(session, ConsoleSession):
        _run(session, environ)
    from vfioctl.cli.sessions.console import talk  # a program needs no libvirt

    return talk(replace(result, data={}, session=None), session)


def _run(session: ProgramSession, environ: Mapping[str, str]) -> NoReturn:
    """Be the program from now on. Raises VfioctlError("program.missing"), StepFailed("program.unusable")."""
    ways, path = (session.argv, *session.others), environ.get("PATH", "")
    found = next(((program, *way[1:]) for way in ways if (program := shutil.which(way[0], path=path))), None)
    if found is None:
        raise _missing(session, path)
    sys.stdout.flush()
    sys.stderr.flush()
    become(found, environ)


def _missing(session: ProgramSession, path: str) -> VfioctlError:
    others = "".join(f", and neither is {way[0]}" for way in session.others)
    said = f"The program {session.argv[0]} is not installed{others} (searched in {path})."
    return VfioctlError("program.missing", said, hints=tuple(filter(None, (session.install,))))
