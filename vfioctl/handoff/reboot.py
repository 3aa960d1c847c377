"""A hand-off that a restart of the host cut off: undoes what lies on a disk, and says how the devices are now.

The restart has reset the hardware and emptied /run, so what lived in that boot is neither asked about nor undone.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from vfioctl.compose import Composition
from vfioctl.handoff import notes
from vfioctl.handoff.commit import forget
from vfioctl.handoff.outcome import Ending, keep
from vfioctl.handoff.way_back import WayBack
from vfioctl.host.readers import link_name
from vfioctl.kinds import PCI
from vfioctl.paths import Paths
from vfioctl.txn.clock import Deadline
from vfioctl.txn.engine import Engine
from vfioctl.txn.journal import Standing, Story
from vfioctl.txn.plan import Action, Plan
from vfioctl.txn.step import Lifetime, Scope, Step

CUT_OFF = {
    Standing.APPLYING: "in mid-hand-off", Standing.UNDOING: "while its hand-off was being undone",
    Standing.HELD: "while it had its devices", Standing.RETURNING: "in the middle of its return",
}  # fmt: skip


def settle(home: WayBack, *, in_hook: bool) -> str:
    """Undo what outlives a boot, close the books, and return what was done. The caller holds the locks.

    Raises VfioctlError("return.unfinished") with what is left; the journal is kept then.
    """
    plan, here = home.plan, home.composition
    begins = f"{plan.subject}: the host was restarted {CUT_OFF[home.story.standing]}"
    seconds = plan.limits.release if in_hook else plan.limits.finish
    with home.transaction().reopen() as transaction:
        engine = transaction.engine
        home.failures += engine.undo_steps(due(home.story), plan.key, deadline=Deadline(seconds))
    home.tell_left(engine)
    if home.failures:
        raise home.leave_open("recover", f"{begins}, and not everything that outlives a boot could be undone")
    message = " ".join((f"{begins}.", *_told(here, plan, engine), *home.left))
    times = tuple(engine.watch.times)
    keep(here.paths, home.log, Ending(plan.subject, plan.key, "recover", times or None, message=message))
    forget(transaction)
    return message


def due(story: Story) -> tuple[Step, ...]:
    """The steps to undo: what was begun and lies on a disk, but for what a start keeps that has succeeded."""
    kept, begun = story.given, story.begun(Action.APPLY)
    lasting = (step for step in story.plan.changes if step.lifetime is Lifetime.DISK and step.id in begun)
    return tuple(step for step in lasting if not (kept and step.scope is Scope.TRANSACTION))


def _told(here: Composition, plan: Plan, engine: Engine) -> Iterator[str]:
    if devices := [_standing(here.paths, plan, address) for address in notes.devices(plan)]:
        yield f"Now {', '.join(devices)}."
    undone = [time.id for time in engine.watch.times if time.outcome == "done"]
    yield f"Undone: {', '.join(undone)}." if undone else "Nothing else was left to undo."


def _standing(paths: Paths, plan: Plan, address: str) -> str:
    """Where the device is now, and where it was before the hand-off if that differs."""
    if not os.path.exists(paths.pci(address)):
        return f"{address} is not there"
    now = link_name(paths.pci(address, "driver"))
    known = (step.baseline for step in plan.steps if step.resource == f"{PCI}{address}")
    before = next((baseline["driver"] for baseline in known if "driver" in baseline), now)
    return f"{address} is {_on(now)}" + ("" if now == before else f" (before: {_on(before)})")


def _on(driver: str | None) -> str:
    return f"on {driver}" if driver else "without a driver"
