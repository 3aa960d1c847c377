"""The command lines that vfioctl starts itself in the background: `finish UUID` and `deadman UUID …`."""

from __future__ import annotations

from collections.abc import Sequence

from vfioctl.compose import Composition
from vfioctl.errors import VfioctlError
from vfioctl.handoff import deadman, release
from vfioctl.log import Log


def main(composition: Composition, argv: Sequence[str]) -> int:
    """Run one background part; its stderr is a file or the journal."""
    log = Log(composition.paths)
    try:
        match argv:
            case ["finish", uuid]:
                release.finish(composition, uuid, log)
            case ["finish", uuid, "--lock-fd", fd]:
                release.finish(composition, uuid, log, lock_fd=int(fd))
            case ["deadman", uuid, guest, daemon, began]:
                deadman.watch(composition, uuid, guest, daemon=int(daemon), began=int(began), log=log)
            case _:
                log.error(f"This is started by vfioctl itself, not by hand: {' '.join(argv)}")
                return 2
    except VfioctlError as error:
        log.error(str(error))
        return error.exit_status
    return 0
