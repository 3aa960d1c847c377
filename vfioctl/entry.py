"""The console script: argv[1] == "hook" goes the hook path, our own background parts theirs, the rest to the CLI.

The only place that exits, that reads argv and the environment, and that tells foreseen errors from bugs.
"""

from __future__ import annotations

import atexit
import gc
import os
import sys
from collections.abc import Sequence

from vfioctl import stdio
from vfioctl.checking import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import NoReturn

    from vfioctl.compose import Composition

COMMANDS: tuple[list[str], ...] = ([], ["install"], ["uninstall"], ["verify"])
WORDS = 5  # hook GUEST OP SUBOP EXTRA
INTERRUPTED = 130  # 128 and SIGINT, as a shell says it
FEW_COLLECTIONS = 100_000  # objects: what is imported is no garbage; looking for some costs a hook 4 ms, a verb 10
OPERATIONS = tuple([word] for word in (
    "prepare", "start", "started", "stopped", "release", "migrate", "restore", "reconnect", "attach",
))  # fmt: skip


def main() -> None:
    """Run this process's own command line."""
    argv = sys.argv[1:]
    prepare_process()
    try:
        from vfioctl.compose import compose  # a ^C during this import ends like every other one

        status = dispatch(compose(), argv)
    except KeyboardInterrupt:
        status = INTERRUPTED
    end(argv, status)


def prepare_process() -> None:
    """To be called before anything else is imported: that is no garbage, and hardly any is looked for."""
    gc.set_threshold(FEW_COLLECTIONS)


def dispatch(composition: Composition, argv: Sequence[str]) -> int:
    """The exit status of one command line; the test kit's entry calls it with parts of its own."""
    stdio.guard()
    if is_from_libvirt(argv):
        from vfioctl.hook import main as hook

        return hook(composition, argv[1:])
    if argv and argv[0] in ("finish", "deadman"):
        from vfioctl.handoff.helper import main as helper

        return helper(composition, argv)
    if list(argv[:1]) == ["run"]:
        from vfioctl.run import main as run

        return run(composition, argv[1:])
    return _command(composition, argv)


def _command(composition: Composition, argv: Sequence[str]) -> int:
    """A person's command line; ^C ends it without a traceback, also while it imports or shows its result."""
    stdio.streams()
    from vfioctl.signals import Ending  # a hook remembers that it is to stop, and has its own way of that

    ending = Ending()
    try:
        with ending.heard():
            from vfioctl.cli.app import main as cli

            return ending.status(cli(composition, argv))
    except KeyboardInterrupt:
        return ending.status(INTERRUPTED)


def end(argv: Sequence[str], status: int) -> NoReturn:
    """End the process that ran `argv`. A hook does not take the interpreter apart first: libvirtd waits 5 ms for it."""
    if is_from_libvirt(argv):
        atexit._run_exitfuncs()  # noqa: SLF001 -- what a plugin or a profiler has registered is still done
        os._exit(status)
    sys.exit(status)


def is_from_libvirt(argv: Sequence[str]) -> bool:
    """Whether this is `hook GUEST OP SUBOP EXTRA` and not a command: a guest may be called "install" or "-h"."""
    if list(argv[:1]) != ["hook"]:
        return False
    return list(argv[2:3]) in OPERATIONS or (len(argv) == WORDS and list(argv[1:2]) not in COMMANDS)


if __name__ == "__main__":
    main()
