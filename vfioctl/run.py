"""The process of an operation that was started apart: `run KEY [OWN]`, which vfioctl itself starts."""

from __future__ import annotations

import signal
from collections.abc import Sequence

from vfioctl.compose import Composition
from vfioctl.errors import EXIT_USAGE
from vfioctl.log import Log
from vfioctl.txn import background
from vfioctl.txn.runner import run
from vfioctl.wait import Stop


def main(composition: Composition, argv: Sequence[str]) -> int:
    """Run one operation to its end; returns the exit status."""
    if len(argv) not in (1, 2):
        Log(composition.paths).error(f"This is started by vfioctl itself, not by hand: run {' '.join(argv)}")
        return EXIT_USAGE
    node = composition.owned(argv[1]) if len(argv) > 1 else composition
    stop = Stop()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop.ask)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    return background.run(node, lambda _log: _run(node, argv[0], stop))


def _run(node: Composition, key: str, stop: Stop) -> None:
    """Raises what the operation ended with, for the log and the exit status."""
    if error := run(node, key, stop=stop.is_asked).error:
        raise error
