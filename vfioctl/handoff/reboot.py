"""A hand-off that a restart of the host cut off: closes its books, and says how the devices are now.

The restart has reset the hardware and emptied /run, so what lived in that boot is neither asked about nor undone.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from vfioctl.handoff import notes
from vfioctl.handoff.commit import forget
from vfioctl.handoff.outcome import Ending, keep
from vfioctl.handoff.way_back import WayBack
from vfioctl.host.readers import link_name
from vfioctl.kinds import PCI
from vfioctl.paths import Paths
from vfioctl.txn.journal import Standing, Story
from vfioctl.txn.plan import Plan

CUT_OFF = {
    Standing.APPLYING: "in mid-hand-off", Standing.UNDOING: "while its hand-off was being undone",
    Standing.HELD: "while it had its devices", Standing.RETURNING: "in the middle of its return",
}  # fmt: skip


def begins(story: Story) -> str:
    """What has cut it off, for a sentence to go on from."""
    return f"{story.plan.subject}: the host was restarted {CUT_OFF[story.standing]}"


def close(home: WayBack) -> str:
    """What outlives a boot is undone: close the books, and return what was done."""
    plan, paths = home.plan, home.node.paths
    message = " ".join((f"{begins(home.story)}.", *_told(home), *home.left))
    times = tuple(home.watch.times)
    keep(paths, home.log, Ending(plan.subject, plan.key, "recover", times or None, message=message))
    forget(home.transaction())
    return message


def _told(home: WayBack) -> Iterator[str]:
    if devices := [_standing(home.node.paths, home.plan, address) for address in notes.devices(home.plan)]:
        yield f"Now {', '.join(devices)}."
    undone = [time.id for time in home.watch.times if time.outcome == "done"]
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
