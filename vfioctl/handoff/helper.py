"""The command lines that vfioctl starts itself in the background: `finish UUID …` and `deadman UUID …`."""

from __future__ import annotations

from collections.abc import Sequence

from vfioctl.compose import Composition
from vfioctl.errors import EXIT_USAGE
from vfioctl.handoff import attempts
from vfioctl.handoff.attempts import Attempt
from vfioctl.log import Log
from vfioctl.txn import background


def main(composition: Composition, argv: Sequence[str]) -> int:
    """Run one background part; returns its exit status."""
    match argv:
        case ["finish", uuid]:
            return background.run(composition, lambda log: _finish(composition, uuid, log))
        case ["finish", uuid, started]:
            return background.run(composition, lambda log: _finish(composition, uuid, log, attempt=started))
        case ["deadman", uuid, guest, *words] if attempt := attempts.parse(words):
            return background.run(composition, lambda log: _watch(composition, uuid, guest, attempt, log))
    Log(composition.paths).error(f"This is started by vfioctl itself, not by hand: {' '.join(argv)}")
    return EXIT_USAGE


def _finish(composition: Composition, uuid: str, log: Log, *, attempt: str = "") -> None:
    from vfioctl.handoff.finish import finish

    finish(composition, uuid, log, attempt=attempt)


def _watch(composition: Composition, uuid: str, guest: str, attempt: Attempt, log: Log) -> None:
    from vfioctl.handoff import deadman

    deadman.watch(composition, deadman.Watched(uuid, guest, attempt), log)
