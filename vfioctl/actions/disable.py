"""Manages a guest no longer: its file is kept aside, what `enable` changed in the domain is restored.

One operation, but for a domain that only virsh can be given: that comes before it.
"""

from __future__ import annotations

import os
import uuid
from typing import TYPE_CHECKING, Any

from vfioctl.actions import hostdev_mode
from vfioctl.actions.defining import defining
from vfioctl.actions.disabling import disabling, is_left
from vfioctl.actions.domain_change import Change, by_hand, changed
from vfioctl.actions.domains import Way, find
from vfioctl.actions.equip.record import equipment, way_back
from vfioctl.actions.facts import must_be_managed
from vfioctl.actions.perform import perform
from vfioctl.config.edit import remove_guest
from vfioctl.errors import Refused
from vfioctl.frozen import frozen, replace
from vfioctl.handoff import outcome
from vfioctl.handoff.markers import uuid_of
from vfioctl.plugin.operations import OperationRequest
from vfioctl.reach import must_answer
from vfioctl.result import Message, Result

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vfioctl.actions.caller import Call
    from vfioctl.actions.domains import Found
    from vfioctl.actions.hostdev_mode import Before
    from vfioctl.paths import Paths


@frozen
class _Back:
    """The domain as it is, None where nothing of it was changed, and as it goes back.

    `edited`: somebody had changed it since `enable`, and that stays. `managed`: managed='yes' is restored in it.
    """

    found: Found | None = None
    xml: bytes = b""
    edited: bool = False
    managed: bool = False

    @property
    def diff(self) -> str:
        return hostdev_mode.difference(self.found.xml, self.xml, self.found.domain.name) if self.found else ""

    @property
    def by_step(self) -> bool:
        """Whether a step gives it to libvirt."""
        return bool(self.found and self.found.way is Way.BINDING)


def disable(call: Call, guest: str, xml: str | None = None, *, dry_run: bool = False) -> Result:
    """Manage `guest` no longer; `dry_run` only says what would change.

    Raises Refused when its domain cannot be read, with nothing touched, and what `perform` raises.
    """
    call.need_trust()
    must_be_managed(call, guest)
    paths = call.paths
    must_answer(paths.guest_config(guest))  # it may be a link to where the administrator keeps it
    found, before = _known(call, guest, xml)
    back = _back(paths, found, before)
    change = Change(back.diff)
    if back.found and not (dry_run or back.by_step):
        change = changed(call, back.found, back.xml)
    linked = is_left(paths, guest)
    done = perform(call, _request(call, guest, before, back), dry_run=dry_run, quiet=True)
    ended = not dry_run and not done.exit_status
    change = replace(change, applied=change.applied or (ended and back.by_step and bool(change.diff)))
    data = {**done.data, **_data(paths, guest, back, change)}
    if not ended:
        return replace(done, data=data).saying(*_edited(guest, back))
    if linked:
        remove_guest(paths, guest)
    outcome.settle(paths, guest)
    return replace(done, data=data).saying(*_messages(paths, guest, back, change))


def _known(call: Call, guest: str, xml: str | None) -> tuple[Found | None, Before | None]:
    """The domain, None where it cannot be had and nothing needs it; what `enable` found in it, by its UUID if known.

    Another guest may have had the name: one that is renamed or undefined keeps its record.
    """
    try:
        found = find(call, guest, xml)
    except Refused:
        named = hostdev_mode.before(call.paths, guest)
        if len(named) > 1 or any(one.addresses or one.equipped for one in named):
            raise
        return None, next(iter(named), None)
    if os.path.lexists(call.paths.before_enable(found.domain.uuid)):
        return found, hostdev_mode.before_of(call.paths, found.domain.uuid)
    return found, next(iter(hostdev_mode.before(call.paths, guest)), None)


def _back(paths: Paths, found: Found | None, before: Before | None) -> _Back:
    """The domain without what `enable` put in, and managed='yes' where it was."""
    kept = equipment(before, paths.before_enable(before.uuid)) if before else None
    if found is None or before is None or not (before.addresses or kept):
        return _Back()
    if kept is None or found.domain.uuid != before.uuid:
        return _Back(found, hostdev_mode.set_managed(found.xml, "yes", before.addresses), managed=True)
    back = way_back(found.xml, before, kept)
    return _Back(found, back.xml, back.edited, managed=bool(before.addresses))


def _request(call: Call, guest: str, before: Before | None, back: _Back) -> OperationRequest:
    work = disabling(call.paths, guest, before.uuid if before else "")
    steps, contents = tuple(work.steps), work.contents
    if back.found:
        reason = f"{guest} is as it was before `enable`"
        steps, more = defining(call, back.found, back.xml, steps, reason=reason)
        contents = {**contents, **more}
    return OperationRequest(
        plugin="core", operation="disable", subject=f"guest:{guest}", key=str(uuid.uuid4()), proposals=steps,
        contents=contents,
    )  # fmt: skip


def _data(paths: Paths, guest: str, back: _Back, change: Change) -> dict[str, Any]:
    return {
        "guest": guest, "file": paths.guest_config(guest), "diff": change.diff, "applied": change.applied,
        "edited": back.edited,
    }  # fmt: skip


def _messages(paths: Paths, guest: str, back: _Back, change: Change) -> tuple[Message, ...]:
    said = [*_edited(guest, back)]
    if change.diff and not change.applied:
        said.append(by_hand(guest))
    if change.diff and back.managed:
        text = "Restart the libvirt daemon before the next start: it remembers the old value of managed."
        said.append(Message(text, "warning", "libvirt.restart"))
    if uuid_of(paths, guest):
        said.append(Message(f"{guest} still has its devices; they come back when it stops."))
    return tuple(said)


def _edited(guest: str, back: _Back) -> Iterator[Message]:
    if back.edited:
        text = f"The domain of {guest} was edited since `enable`: only what that had put in is taken out."
        yield Message(text, code="disable.edited")
