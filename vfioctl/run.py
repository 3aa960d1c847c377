"""The process of an operation that was started apart: `run KEY [OWN]`, which vfioctl itself starts."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence

from vfioctl.compose import Composition
from vfioctl.errors import EXIT_USAGE, VfioctlError
from vfioctl.log import Log
from vfioctl.ownership import secure_state
from vfioctl.txn.runner import run
from vfioctl.wait import Stop


def main(composition: Composition, argv: Sequence[str]) -> int:
    """Run one operation to its end; returns the exit status."""
    if len(argv) not in (1, 2):
        Log(composition.paths).error(f"This is started by vfioctl itself, not by hand: run {' '.join(argv)}")
        return EXIT_USAGE
    node = composition.owned(argv[1]) if len(argv) > 1 else composition
    stop, log = Stop(), Log(node.paths)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop.ask)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        if os.geteuid() == 0:
            secure_state(node.paths)
        ended = run(node, argv[0], stop=stop.is_asked)
    except VfioctlError as error:
        log.error(str(error), code=error.code)
        return error.exit_status
    except Exception as error:  # noqa: BLE001 -- nobody above a process of its own would tell
        from traceback import format_exception

        log.error(f"internal error: {type(error).__name__}: {error}", traceback="".join(format_exception(error)))
        return 1
    if ended.error:
        log.error(str(ended.error), code=ended.error.code)
    return ended.error.exit_status if ended.error else 0
