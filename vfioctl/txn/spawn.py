"""Starts our own command line as a process that outlives us and its session. Decides nothing about what is run."""

from __future__ import annotations

import os

from vfioctl import files
from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import VfioctlError
from vfioctl.host import units

if TYPE_CHECKING:
    from vfioctl.txn.node import Node

SECONDS = 5.0


def spawn(node: Node, unit: str, arguments: tuple[str, ...]) -> None:
    """Run `arguments` as a transient unit called `unit`, or as a detached process. Raises OSError."""
    argv = (*node.self_argv, *arguments)
    if not (os.geteuid() == 0 and units.is_booted(node.paths) and _as_unit(node, unit, argv)):
        _detached(node, argv)


def _as_unit(node: Node, unit: str, argv: tuple[str, ...]) -> bool:
    started = (
        "systemd-run", "--quiet", "--collect", "--no-block", f"--unit={unit}", "--property=KillMode=process", "--",
        *units.literal(argv),
    )  # fmt: skip
    try:
        return node.programs.run(started, deadline=SECONDS).ok
    except VfioctlError:
        return False


def _detached(node: Node, argv: tuple[str, ...]) -> None:
    """A new program and no fork of this one: we may be a server with threads. Its parent is a shell that ends at once.

    So nobody here has to wait for it.
    """
    import subprocess

    files.make_private_dir(node.paths.log)
    fd = files.open_plain(os.path.join(node.paths.log, "background.log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        subprocess.run(
            ("/bin/sh", "-c", '"$@" &', "sh", *argv), stdin=subprocess.DEVNULL, stdout=fd, stderr=fd, cwd="/",
            env={"LC_ALL": "C.UTF-8"}, start_new_session=True, check=True, timeout=SECONDS,
        )  # fmt: skip
    finally:
        os.close(fd)
