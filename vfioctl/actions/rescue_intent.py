"""What a rescue would do: which undo it runs, what keeps it from one, which units it starts. Changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from vfioctl.actions import undo
from vfioctl.actions import worker as workers
from vfioctl.actions.lookup import must_be_known
from vfioctl.errors import Refused, VfioctlError
from vfioctl.frozen import frozen
from vfioctl.ownership import secure_state
from vfioctl.result import Error
from vfioctl.shell import argument
from vfioctl.txn.resources import Ledger

if TYPE_CHECKING:
    from vfioctl.actions.caller import Call
    from vfioctl.actions.undo import Undo
    from vfioctl.paths import Paths

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


def intent_of(call: Call, guest: str | None) -> Intent:
    """What a rescue would do now, for `guest` only or for all. Raises Refused("guest.unknown")."""
    paths = call.composition.paths
    distrust = tuple(_distrust(paths))
    found = () if distrust else undo.scripts(paths)
    if guest is not None:
        _must_be_there(paths, guest, found)
        found = tuple(item for item in found if item.guest == guest)
    running = {item.guest: error for item in found if (error := _running(call, item) or _stopped(call, item))}
    undos = tuple(item for item in found if item.guest not in running)
    units = () if guest is not None and not undos else _units(call, trusted=not distrust)
    return Intent(undos, tuple(running.values()), distrust, units)


def _distrust(paths: Paths) -> Iterator[Error]:
    """Why neither undo nor record is obeyed: others could have written them. The desktop is started all the same."""
    try:
        secure_state(paths)
    except Refused as error:
        yield Error(error.code, error.message, "No undo.sh was run.", error.hints)


def _must_be_there(paths: Paths, guest: str, found: tuple[Undo, ...]) -> None:
    if all(item.guest != guest for item in found):
        must_be_known(paths, guest)


def _stopped(call: Call, item: Undo) -> Error | None:
    """Why the undo of a guest is not run: a process that was stopped has its lock, and lets it go only when it ends."""
    worker = workers.of(call.composition.paths, item.uuid)
    if worker is None:
        return None
    stopped, pid = worker.is_stopped(), worker.pid
    worker.close()
    if not stopped:
        return None
    return Error(
        "lock.busy", f"Process {pid} works on the hand-off of {item.guest}, and somebody has stopped it (SIGSTOP).",
        "Nothing of it was undone.", (abort_hint(item),),
    )  # fmt: skip


def abort_hint(item: Undo) -> str:
    """The command that ends the process which works on the guest of `item`."""
    return f"End it and undo its work with: vfioctl recover --abort {argument(item.guest)}"


def _running(call: Call, item: Undo) -> Error | None:
    """Why the undo of a guest is not run: QEMU has the devices, and they return when it ends."""
    process = call.composition.machine().host().qemu_of(item.uuid, item.guest) if item.uuid else None
    if process is None:
        return None
    return Error(
        "guest.running", f"{item.guest} runs with the card (process {process}); it returns when the guest stops.",
        "Nothing of it was undone.", (f"Stop it first: virsh destroy {argument(item.guest)}",),
    )  # fmt: skip


def _units(call: Call, *, trusted: bool) -> tuple[str, ...]:
    """What is started when no undo does it; nothing on a host without a desktop."""
    if trusted and (recorded := recorded_units(call.composition.paths)):
        return recorded
    try:
        there = call.composition.machine().host().display_manager() is not None
    except VfioctlError:
        there = True  # systemd does not say: then it is tried
    return (DISPLAY_MANAGER,) if there else ()


def recorded_units(paths: Paths) -> tuple[str, ...]:
    """The system units that a hand-off stopped, as the ledger tells; what cannot be read tells nothing."""
    try:
        entries, _ = Ledger(paths).readable()
    except OSError:
        return ()
    stopped = (entry for entry in entries if "unit" in entry.wish and entry.baseline.get("active"))
    return tuple(str(entry.wish["unit"]) for entry in stopped if entry.wish.get("uid") is None)
