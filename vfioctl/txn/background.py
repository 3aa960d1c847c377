"""Starts a part of ours that outlives its caller: a transient unit where systemd runs, else a detached process."""

from __future__ import annotations

import os
from collections.abc import Callable

from vfioctl import files
from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import VfioctlError
from vfioctl.files import Lock
from vfioctl.frozen import frozen
from vfioctl.host.units import is_booted, literal
from vfioctl.log import Log
from vfioctl.ownership import secure_state, writable_itself
from vfioctl.paths import Paths
from vfioctl.proc import fork_detached, open_log

if TYPE_CHECKING:
    from vfioctl.txn.node import Node

SPAWN_SECONDS = 5.0
PLAIN = frozenset("/-_.")  # systemd reads some of the others in a path of its own way
Work = Callable[[Log], object]


@frozen
class Timer:
    """When a unit starts: after `seconds`, if the file `while_exists` is still there."""

    seconds: float
    while_exists: str

    def options(self) -> tuple[str, ...]:
        """What systemd-run is told; a file whose path is not plain is left to the unit itself."""
        plain = self.while_exists.isascii() and all(char.isalnum() or char in PLAIN for char in self.while_exists)
        condition = (f"--property=ConditionPathExists={self.while_exists}",) if plain else ()
        return (f"--on-active={self.seconds:g}s", "--timer-property=AccuracySec=100ms", *condition)


def start(
    node: Node, arguments: tuple[str, ...], work: Work, log: Log, *, lock: Lock | None = None,
    name: str = "", timer: Timer | None = None,
) -> None:
    """Run our own `arguments` as a transient unit, or `work`, which is the same, in a detached process.

    The unit takes the lock itself after `lock` was released here; the process inherits it. The unit is called
    `name`, or else after the first two arguments. `timer` is for the unit alone: the process runs at once.
    """
    options = timer.options() if timer else ()
    if _as_unit(node, f"vfioctl-{name or '-'.join(arguments[:2])}", options, arguments, log):
        return
    output = _output(node.paths)
    inherited = (lock.fd,) if lock and lock.fd >= 0 else ()
    fork_detached(lambda: run(node, work), keep_fds=inherited, log=output)


def spawn(node: Node, arguments: tuple[str, ...], *, name: str) -> None:
    """Run our own `arguments` as a transient unit called `name`, or in a detached process.

    That is a new program and no fork of this one, which may be a server with threads.
    """
    if os.geteuid() == 0 and _as_unit(node, name, (), arguments, Log(node.paths, stderr=None)):
        return
    import subprocess  # only where there is no unit

    fd = open_log(_output(node.paths))
    try:
        subprocess.run(  # a shell that ends at once is its parent: nobody here has to wait for it
            ("/bin/sh", "-c", '"$@" &', "sh", *node.self_argv, *arguments), stdin=subprocess.DEVNULL, stdout=fd,
            stderr=fd, cwd="/", env={"LC_ALL": "C.UTF-8"}, start_new_session=True, check=True, timeout=SPAWN_SECONDS,
        )  # fmt: skip
    finally:
        os.close(fd)


def _output(paths: Paths) -> str:
    """Where a detached process writes what it says. Work is never left undone for want of such a place."""
    try:
        files.make_private_dir(paths.log)
        usable = not (os.path.islink(paths.log) or writable_itself(paths.log))
    except OSError:
        usable = False
    return os.path.join(paths.log, "background.log") if usable else os.devnull


def run(node: Node, work: Work) -> int:
    """Run a background part to its end; returns its exit status. Its stderr is a file or the journal."""
    log = Log(node.paths)
    try:
        if not node.paths.own or os.geteuid() == 0:
            secure_state(node.paths)
        work(log)
    except VfioctlError as error:
        log.error(str(error), code=error.code)
        return error.exit_status
    except Exception as error:  # noqa: BLE001 -- a detached process has nobody above it that would tell
        from traceback import format_exception

        log.error(f"internal error: {type(error).__name__}: {error}", traceback="".join(format_exception(error)))
        return 1
    return 0


def _as_unit(
    node: Node, name: str, options: tuple[str, ...], arguments: tuple[str, ...], log: Log
) -> bool:
    if not is_booted(node.paths):
        return False
    try:
        start_unit(node, name, (*node.self_argv, *arguments), *options)
    except VfioctlError as error:
        log.warning(f"No transient unit for {name}, a detached process instead: {error}")
        return False
    return True


def start_unit(node: Node, name: str, argv: tuple[str, ...], *options: str) -> None:
    """Have systemd start `argv` as the transient unit `name`. Raises VfioctlError where it does not."""
    ended = node.programs.run(
        ("systemd-run", "--quiet", "--collect", "--no-block", f"--unit={name}", "--property=KillMode=process",
         *options, "--", *literal(argv)),
        deadline=SPAWN_SECONDS,
    )  # fmt: skip
    if not ended.ok:
        raise VfioctlError("program.failed", f"{ended.why()}.")
