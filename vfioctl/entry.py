"""The console script: argv[1] == "hook" goes the hook path, our own background parts theirs, the rest to the CLI.

The only place that exits, that reads argv and the environment, and that tells foreseen errors from bugs.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from vfioctl.compose import Composition, compose

COMMANDS: tuple[list[str], ...] = ([], ["install"], ["uninstall"], ["verify"])
WORDS = 5  # hook GUEST OP SUBOP EXTRA
OPERATIONS = tuple([word] for word in (
    "prepare", "start", "started", "stopped", "release", "migrate", "restore", "reconnect", "attach",
))  # fmt: skip


def main() -> None:
    """Run this process's own command line."""
    sys.exit(dispatch(compose(), sys.argv[1:]))


def dispatch(composition: Composition, argv: Sequence[str]) -> int:
    """The exit status of one command line; the test kit's entry calls it with parts of its own."""
    if is_from_libvirt(argv):
        from vfioctl.hook import main as hook

        return hook(composition, argv[1:])
    if argv and argv[0] in ("finish", "deadman"):
        from vfioctl.handoff.helper import main as helper

        return helper(composition, argv)
    from vfioctl.cli.app import main as cli

    return cli(composition, argv)


def is_from_libvirt(argv: Sequence[str]) -> bool:
    """Whether this is `hook GUEST OP SUBOP EXTRA` and not a command: a guest may be called "install" or "-h"."""
    if list(argv[:1]) != ["hook"]:
        return False
    return list(argv[2:3]) in OPERATIONS or (len(argv) == WORDS and list(argv[1:2]) not in COMMANDS)


if __name__ == "__main__":
    main()
