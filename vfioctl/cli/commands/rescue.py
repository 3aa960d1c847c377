"""`vfioctl rescue`: the desktop back from anything. Needs no plan that can be read, no plugin, no configuration."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import click

from vfioctl.cli.types import MANAGED
from vfioctl.frozen import frozen

if TYPE_CHECKING:
    from vfioctl.cli.app import App
    from vfioctl.cli.result import Error, Result
    from vfioctl.cli.undo import Undo
    from vfioctl.compose import Composition
    from vfioctl.paths import Paths

START_SECONDS = 60.0
DISPLAY_MANAGER = "display-manager.service"


@frozen
class Intent:
    """What a rescue would do: which undo it runs, which guests keep it from one, what it starts otherwise."""

    undos: tuple[Undo, ...] = ()
    running: tuple[Error, ...] = ()
    distrust: tuple[Error, ...] = ()
    units: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        return not self.undos and not self.starts_at_once

    @property
    def starts_at_once(self) -> bool:
        """Units are started when there is no undo to run; not while a guest runs with the card."""
        return bool(self.units) and not self.undos and not self.running


@click.command()
@click.option("--guest", type=MANAGED, help="Run only the undo of this guest.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def command(app: App, guest: str | None, yes: bool) -> Result:  # noqa: FBT001 -- click's signature
    """Bring the desktop back from anything.

    Says what it will do, and asks. Then it runs the undo that each hand-off left as plain shell in
    /run/vfioctl/guests/GUEST/undo.sh, and shows each step of it. When there is none, or one fails, the units that are
    recorded as stopped are started; when none is recorded, the display manager. A guest that runs keeps its devices:
    stop it first. Where nobody can be asked, --yes is needed.
    """
    from vfioctl.cli import agreed

    app.need_root()
    intent = _intent(app, guest)
    if intent.is_empty:
        return _nothing_to_do(guest, intent)
    _announce(app, intent)
    if not yes:
        agreed.ask(app, code="rescue.unconfirmed", again="vfioctl rescue --yes")
    return _carry_out(app, intent)


# ---------------------------------------------------------------- what would be done


def _intent(app: App, guest: str | None) -> Intent:
    from vfioctl.cli import undo

    paths = app.composition.paths
    distrust = tuple(_distrust(paths))
    found = () if distrust else undo.scripts(paths)
    if guest is not None:
        _must_be_there(paths, guest, found)
        found = tuple(item for item in found if item.guest == guest)
    running = {item.guest: error for item in found if (error := _running(app, item) or _stopped(app, item))}
    undos = tuple(item for item in found if item.guest not in running)
    units = () if guest is not None and not undos else _units(app, trusted=not distrust)
    return Intent(undos, tuple(running.values()), distrust, units)


def _distrust(paths: Paths) -> Iterator[Error]:
    """Why neither undo nor record is obeyed: others could have written them. The desktop is started all the same."""
    from vfioctl.cli.result import Error
    from vfioctl.errors import Refused
    from vfioctl.ownership import secure_state

    try:
        secure_state(paths)
    except Refused as error:
        yield Error(error.code, error.message, "No undo.sh was run.", error.hints)


def _must_be_there(paths: Paths, guest: str, found: tuple[Undo, ...]) -> None:
    from vfioctl.cli.lookup import must_be_known

    if all(item.guest != guest for item in found):
        must_be_known(paths, guest)


def _stopped(app: App, item: Undo) -> Error | None:
    """Why the undo of a guest is not run: a process that was stopped has its lock, and lets it go only when it ends."""
    from vfioctl.cli import worker as workers
    from vfioctl.cli.result import Error

    worker = workers.of(app.composition.paths, item.uuid)
    if worker is None:
        return None
    stopped, pid = worker.is_stopped(), worker.pid
    worker.close()
    if not stopped:
        return None
    return Error(
        "lock.busy", f"Process {pid} works on the hand-off of {item.guest}, and somebody has stopped it (SIGSTOP).",
        "Nothing of it was undone.", (_abort_hint(item),),
    )  # fmt: skip


def _abort_hint(item: Undo) -> str:
    from vfioctl.shell import argument

    return f"End it and undo its work with: vfioctl recover --abort {argument(item.guest)}"


def _running(app: App, item: Undo) -> Error | None:
    """Why the undo of a guest is not run: QEMU has the devices, and they return when it ends."""
    from vfioctl.cli.result import Error
    from vfioctl.shell import argument

    process = app.composition.machine().host().qemu_of(item.uuid, item.guest) if item.uuid else None
    if process is None:
        return None
    return Error(
        "guest.running", f"{item.guest} runs with the card (process {process}); it returns when the guest stops.",
        "Nothing of it was undone.", (f"Stop it first: virsh destroy {argument(item.guest)}",),
    )  # fmt: skip


def _units(app: App, *, trusted: bool) -> tuple[str, ...]:
    """What is started when no undo does it; nothing on a host without a desktop."""
    from vfioctl.errors import VfioctlError

    if trusted and (recorded := recorded_units(app.composition.paths)):
        return recorded
    try:
        there = app.composition.machine().host().display_manager() is not None
    except VfioctlError:
        there = True  # systemd does not say: then it is tried
    return (DISPLAY_MANAGER,) if there else ()


def recorded_units(paths: Paths) -> tuple[str, ...]:
    """The system units that a hand-off stopped, as the ledger tells; what cannot be read tells nothing."""
    from vfioctl.txn.resources import Ledger

    try:
        entries, _ = Ledger(paths).readable()
    except OSError:
        return ()
    stopped = (entry for entry in entries if "unit" in entry.wish and entry.baseline.get("active"))
    return tuple(str(entry.wish["unit"]) for entry in stopped if entry.wish.get("uid") is None)


def _nothing_to_do(guest: str | None, intent: Intent) -> Result:
    from vfioctl.cli.result import Message, refused

    data: dict[str, Any] = {"scripts": [], "started": []}
    if errors := (*intent.distrust, *intent.running):
        return refused(data, errors)
    of = f" of {guest}" if guest else ""
    also = "" if guest else ", and there is no display manager to start"
    return refused(data, ()).saying(Message(f"Nothing is to be done: no hand-off{of} left an undo{also}."))


# ---------------------------------------------------------------- asking


def _announce(app: App, intent: Intent) -> None:
    show = app.output().line
    show("This will be done:")
    for item in intent.undos:
        show(f"  run {item.script}, which takes these steps of {item.guest} back:")
        for step in item.steps:
            show(f"    {step}")
        show(f"    Its log: {item.log}")
    for unit in intent.units:
        show(f"  start {unit}" + (" if that does not bring everything back" if intent.undos else ""))


# ---------------------------------------------------------------- doing


def _carry_out(app: App, intent: Intent) -> Result:
    from vfioctl.cli.result import Message, incomplete

    rows = [_undo(app, item) for item in intent.undos]
    errors = [*intent.distrust, *intent.running, *_script_errors(app, zip(intent.undos, rows, strict=True))]
    started = []
    if intent.starts_at_once or not all(row["ok"] for row in rows):
        for unit in intent.units:
            app.output().line(f"  start  {unit}")
            found = _start(app.composition, unit)
            errors += found
            started += [] if found else [unit]
    result = incomplete({"scripts": rows, "started": started}, tuple(errors))
    closing = map(Message, _closing(app.composition.paths, intent.undos))
    return result.saying(*closing) if rows else result


def _closing(paths: Paths, undos: tuple[Undo, ...]) -> Iterator[str]:
    """How the books of what was undone are closed: a damaged journal is put aside, the others are finished."""
    from vfioctl.handoff.damaged import problem_of

    hurt = [item.uuid for item in undos if item.uuid and problem_of(paths, item.uuid)]
    if len(hurt) < len(undos):
        yield "Close the journals with: vfioctl recover"
    for uuid in hurt:
        yield f"Its journal is damaged; put it aside with: vfioctl recover --discard {uuid}"


def _undo(app: App, item: Undo) -> dict[str, Any]:
    from vfioctl.cli import undo
    from vfioctl.cli.app import Interrupted

    try:
        ran = undo.run(app.composition, item, app.output().line)
    except KeyboardInterrupt:
        message = f"Interrupted. The undo of {item.guest} goes on by itself; its log is {item.log}."
        raise Interrupted(message) from None
    return {"script": item.script, "guest": item.guest, "log": item.log, "ok": ran.ok, "said": ran.why}


def _script_errors(app: App, ran: Iterable[tuple[Undo, dict[str, Any]]]) -> Iterator[Error]:
    from vfioctl.cli.facts import running
    from vfioctl.cli.result import Error

    for item, row in ran:
        if not row["ok"]:
            message = f"{row['script']} did not bring everything back: {row['said'].rstrip('.')}."
            busy = any(other.uuid == item.uuid for other in running(app.composition.paths))
            hints = (f"Its log: {row['log']}", *((_abort_hint(item),) if busy else ()))
            yield Error("rescue.script", message, hints=(*hints, "See what is left with: vfioctl status"))


def _start(here: Composition, unit: str) -> list[Error]:
    """Start `unit`; a failure before is forgotten first, or systemd refuses."""
    from vfioctl.cli.result import Error
    from vfioctl.errors import VfioctlError
    from vfioctl.kinds.systemd import unit_kill
    from vfioctl.txn.clock import Deadline

    params, machine = {"unit": unit}, here.machine()
    try:
        here.programs.run(("systemctl", "reset-failed", "--", unit), deadline=START_SECONDS)
        _, is_manager = unit_kill.look(params, machine)
        ended, _ = unit_kill.carry_out(params, "start", machine, Deadline(START_SECONDS), may_kill=is_manager)
    except VfioctlError as error:
        return [Error(error.code, error.message, error.state, error.hints)]
    if ended.ok:
        return []
    hint = f"See why with: journalctl -b -u {unit}"
    return [Error("rescue.desktop", f"{unit} does not start: {ended.why().rstrip('.')}.", hints=(hint,))]
