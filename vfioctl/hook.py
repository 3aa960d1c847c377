"""What libvirt's qemu hook does, in one screen. Exits non-zero only from `prepare`; never prints to stdout."""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence

from vfioctl import log as logs
from vfioctl.checking import TYPE_CHECKING
from vfioctl.compose import Composition
from vfioctl.errors import Refused, VfioctlError
from vfioctl.events.libvirt import check_guest_name, parse_argv, read_stdin
from vfioctl.events.model import Event, Operation
from vfioctl.ownership import secure_state
from vfioctl.wait import Stop

if TYPE_CHECKING:
    from vfioctl.events.model import Domain


def main(composition: Composition, argv: Sequence[str]) -> int:
    """Answer one call of libvirt; returns the exit status."""
    log = logs.Log(composition.paths)
    try:
        event = parse_argv(argv)
        return _answer(composition, event, log)
    except Exception as error:  # noqa: BLE001 -- a bug here must not kill a guest: `reconnect` and `started` end it
        log.error(_sentence(error), **_about(argv, error), **_traceback(error))
        return _status(error) if list(argv[1:2]) == [Operation.PREPARE] else 0


def _answer(composition: Composition, event: Event, log: logs.Log) -> int:
    handlers: dict[Operation, Callable[[], None]] = {
        Operation.PREPARE: lambda: _prepare(composition, event, log),
        Operation.STARTED: lambda: _returning(composition, event, log),
        Operation.RELEASE: lambda: _returning(composition, event, log),
        Operation.RECONNECT: lambda: _reconnect(composition, event, log),
    }
    if handler := handlers.get(event.operation):
        check_guest_name(event.guest)
        from vfioctl.reach import must_answer  # most calls are about a guest that nobody manages

        must_answer(composition.paths.run, composition.paths.state)
        handler()
    return 0


def _prepare(composition: Composition, event: Event, log: logs.Log) -> None:
    from vfioctl.handoff import incoming
    from vfioctl.handoff.make_plan import is_managed
    from vfioctl.handoff.prepare import prepare

    if not is_managed(composition, event.guest):
        return
    secure_state(composition.paths)
    domain = _domain(event.guest)
    stop = Stop()
    signal.signal(signal.SIGTERM, stop.ask)
    arrives = incoming.take(composition.paths, event.guest)
    prepare(composition, domain, log, incoming=arrives, stop=stop.is_asked)


def _domain(guest: str) -> Domain:
    """What libvirt says on stdin. Raises Refused when no domain can be read there."""
    from vfioctl.events.domain import read_domain

    try:
        return read_domain(read_stdin(0))
    except Refused as error:
        from vfioctl.shell import argument

        raise Refused(
            error.code, f"{guest} was not started: {error.message}", state="Nothing was changed.",
            hints=(f"See what libvirt has with: virsh dumpxml {argument(guest)}",),
        ) from error  # fmt: skip


def _returning(composition: Composition, event: Event, log: logs.Log) -> None:
    from vfioctl.handoff import release

    secure_state(composition.paths)
    answers = {Operation.STARTED: release.started, Operation.RELEASE: release.release}
    answers[event.operation](composition, event.guest, log)


def _reconnect(composition: Composition, event: Event, log: logs.Log) -> None:
    from vfioctl.handoff.reconnect import reconnect

    secure_state(composition.paths)
    reconnect(composition, event.guest, log)


def _sentence(error: Exception) -> str:
    if isinstance(error, VfioctlError):
        return str(error)
    return f"internal error, nothing more was done: {type(error).__name__}: {error}"


def _about(argv: Sequence[str], error: Exception) -> dict[str, str]:
    """What the line of the log is found by."""
    named = dict(zip(("guest", "operation"), argv, strict=False))
    return {**named, "code": error.code} if isinstance(error, VfioctlError) else named


def _traceback(error: Exception) -> dict[str, str]:
    """Where a bug is; nothing for what was foreseen."""
    if isinstance(error, VfioctlError):
        return {}
    from traceback import format_exception

    return {"traceback": "".join(format_exception(error))}


def _status(error: Exception) -> int:
    return error.exit_status if isinstance(error, VfioctlError) else 1
