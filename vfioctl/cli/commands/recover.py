"""`vfioctl recover [GUEST]`: finishes what a crash, a kill or a power cut interrupted."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import click

from vfioctl.cli.types import RECOVERABLE

if TYPE_CHECKING:
    from vfioctl.cli.app import App
    from vfioctl.cli.result import Error, Message, Result
    from vfioctl.paths import Paths

FOLLOW_SECONDS = 1800.0  # longer than the deadlines of all guests of a host together


@click.command()
@click.argument("guest", type=RECOVERABLE, required=False)
@click.option("--abort", is_flag=True, help="Stop a hand-off that is running now, and undo it.")
@click.option("--discard", is_flag=True, help="Put a damaged journal aside; GUEST is its ID, as status shows it.")
@click.option("--yes", is_flag=True, help="Do not ask before a journal is put aside.")
@click.pass_obj
def command(app: App, guest: str | None, abort: bool, discard: bool, yes: bool) -> Result | int:  # noqa: FBT001 -- click's signature
    """Finish what was interrupted.

    GUEST is a name or a UUID; without it everything unfinished is looked at. Guests that run with their devices are
    left alone. A hand-off that runs now, and a guest whose QEMU is about to come, are refused, unless --abort says to
    stop it: it finishes its step and undoes its work; one that does not is killed, and undone then. libvirt itself
    offers no way out of a hook. Called in a login, it works in a transient system unit and shows what that says: the
    login may end with the work.

    A journal that is damaged cannot be finished: --discard shows what is known of it, asks, and puts it aside in
    /var/lib/vfioctl/discarded. It brings nothing home; `vfioctl rescue` does, where the undo of that start is there.
    """
    from vfioctl.cli.apart import is_worth_it
    from vfioctl.txn.journal import open_uuids

    app.need_trust()
    if discard:
        from vfioctl.cli import discarding

        return discarding.run(app, guest, yes=yes)
    paths = app.composition.paths
    chosen = [uuid for uuid in open_uuids(paths) if guest in (None, uuid, name_of(paths, uuid))]
    chosen += [uuid for uuid in _at_work(paths, guest) if abort and uuid not in chosen]
    if guest and not chosen:
        _must_be_known(paths, guest)
    if abort and not guest:
        raise click.UsageError("--abort needs the guest whose hand-off is to be stopped.")
    if not is_worth_it(paths) or not (abort or any(_is_open(app, uuid) for uuid in chosen)):
        return _here(app, guest, chosen, abort=abort)
    return _apart(app, guest, chosen, abort=abort)


def _must_be_known(paths: Paths, guest: str) -> None:
    """Raise Refused("guest.unknown") for a name that vfioctl has nothing of; nothing is open of a UUID then."""
    from vfioctl.cli.lookup import is_uuid, must_be_known

    if not is_uuid(guest):
        must_be_known(paths, guest)


def _is_open(app: App, uuid: str) -> bool:
    """Whether there may be something to do: the guest does not simply run with its devices."""
    from vfioctl.errors import VfioctlError
    from vfioctl.handoff.recovery import is_in_use
    from vfioctl.txn.journal import Standing, read_both

    try:
        story = read_both(app.composition.paths, uuid)
    except VfioctlError:
        return False  # it is only said
    return story is not None and not (
        story.standing is Standing.GIVEN and is_in_use(story, app.composition.machine().host())
    )


def _apart(app: App, guest: str | None, chosen: list[str], *, abort: bool) -> Result | int:
    """The same command line again, in a unit; in this process where none can be started."""
    from dataclasses import replace

    from vfioctl.cli.apart import Apart
    from vfioctl.cli.app import Interrupted
    from vfioctl.cli.result import Message
    from vfioctl.errors import VfioctlError

    flags = (*(("--no-color",) if app.color is False else ()), *(("--abort",) if abort else ()))
    named = ("--", guest) if guest else ()
    unit = Apart(app.composition, app.command, ("--format", app.format, app.command, *flags, *named))
    try:
        unit.start()
    except (VfioctlError, OSError) as error:
        said = Message(f"No transient unit, so this ran in its own process: {error}", "warning", "recover.apart")
        result = _here(app, guest, chosen, abort=abort)
        return replace(result, messages=(*result.messages, said))
    try:
        return unit.follow(app.output().relay, FOLLOW_SECONDS)
    except KeyboardInterrupt:
        raise Interrupted(f"Interrupted. The recovery goes on in {unit.unit}.") from None


def _here(app: App, guest: str | None, chosen: list[str], *, abort: bool) -> Result:
    from vfioctl.cli.result import Result

    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the terminal may end with the session, the recovery must not
    rows, errors, status = [], [], 0
    messages: list[Message] = []
    for uuid in chosen:
        messages += _abort(app, uuid) if abort else ()
        row, error, exit_status = _recover(app, uuid, abort=abort)
        rows.append(row)
        errors += [error] if error else []
        status = status or exit_status
    settled = _settle(app.composition.paths, guest)
    data = {"recovered": rows, "settled": settled}
    return Result(data=data, messages=tuple(messages), errors=tuple(errors), exit_status=status)


def _settle(paths: Paths, guest: str | None) -> list[str]:
    """The guests whose last failure has nothing open any more: `status` need not show it longer.

    Content that no journal names any more goes as well.
    """
    from vfioctl.txn import blobs, history
    from vfioctl.txn.journal import open_uuids

    with suppress(OSError):  # what cannot be removed now is for the next one
        blobs.sweep(paths)
    unfinished = open_uuids(paths)
    lasts = (last for last in history.read_lasts(paths) if guest in (None, last.guest, last.uuid))
    return [last.guest for last in lasts if last.uuid not in unfinished and history.settle(paths, last.guest)]


def name_of(paths: Paths, uuid: str) -> str:
    """The guest's name in the journal of `uuid`; where that cannot be read what else tells it, or nothing."""
    from vfioctl.errors import VfioctlError
    from vfioctl.handoff import damaged
    from vfioctl.txn.journal import read_both

    try:
        story = read_both(paths, uuid)
    except VfioctlError:
        return damaged.guest_of(paths, uuid)
    return story.plan.subject if story else ""


def _recover(app: App, uuid: str, *, abort: bool) -> tuple[dict[str, Any], Error | None, int]:
    """Finish one; its steps are shown as they end."""
    from vfioctl.cli.live import teller
    from vfioctl.cli.result import Error
    from vfioctl.errors import VfioctlError
    from vfioctl.handoff.recovery import recover
    from vfioctl.log import Log
    from vfioctl.txn.clock import Stopwatch

    paths = app.composition.paths
    watch = Stopwatch(tell=teller(app.output()))
    row: dict[str, Any] = {"uuid": uuid, "guest": name_of(paths, uuid)}
    try:
        said = recover(app.composition, uuid, Log(paths, stderr=None), watch=watch, spare_start=not abort)
    except VfioctlError as error:
        whose = f"{row['guest']}: " if row["guest"] and row["guest"] not in error.message else ""
        shown = Error(error.code, f"{whose}{error.message}", error.state, error.hints)
        return {**row, "said": "", "ok": False, "steps": _steps(watch)}, shown, error.exit_status
    return {**row, "said": said, "ok": True, "steps": _steps(watch)}, None, 0


def _steps(watch: Any) -> list[dict[str, Any]]:
    return [{**asdict(time), "started_offset": time.started} for time in watch.times]


def _abort(app: App, uuid: str) -> Iterator[Message]:
    """End the process that works on the guest; what it has not undone itself is left to who comes next.

    Raises DeadlineExceeded("recover.deadline").
    """
    from vfioctl.cli import worker as workers
    from vfioctl.cli.result import Message
    from vfioctl.errors import DeadlineExceeded

    worker = workers.of(app.composition.paths, uuid)
    if worker is None:
        return
    seconds = _patience(app.composition.paths, uuid)
    try:
        ended = worker.end(seconds)
    finally:
        worker.close()
    if ended == "stays":
        raise DeadlineExceeded(
            "recover.deadline", f"Process {worker.pid} does not end, not even by SIGKILL: it waits in the kernel.",
            state="What it has done is not undone yet.",
            hints=("See what it waits for with: vfioctl status",
                   "When it has ended: vfioctl recover; if it never does, only a reboot helps."),
        )  # fmt: skip
    if ended == "killed":
        text = f"Process {worker.pid} did not stop within {seconds:g} s and was killed."
        yield Message(text, "warning", "recover.killed")


def _patience(paths: Paths, uuid: str) -> float:
    """Seconds in which a hand-off that is asked to stop has passed every deadline of its plan."""
    from vfioctl.errors import VfioctlError
    from vfioctl.limits import Limits
    from vfioctl.txn.journal import read_both

    try:
        story = read_both(paths, uuid)
    except VfioctlError:
        story = None
    budget = story.plan.limits if story else Limits()
    return budget.prepare + budget.undo


def _at_work(paths: Paths, guest: str | None) -> Iterator[str]:
    """The UUIDs of hand-offs of `guest` that a process works on before there is a journal: its hook makes the plan."""
    from vfioctl.cli.facts import running
    from vfioctl.host.processes import arguments

    for item in running(paths):
        words = map(os.fsdecode, arguments(paths, (item.pid,)).get(item.pid, ()))
        if guest == item.uuid or (guest and ("hook", guest) in pairwise(words)):
            yield item.uuid
