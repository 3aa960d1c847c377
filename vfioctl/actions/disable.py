"""Manages a guest no longer: its file is kept aside, what `enable` changed in the domain is restored."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from vfioctl import files
from vfioctl.actions import hostdev_mode
from vfioctl.actions.domain_change import Change, by_hand, changed, set_mode
from vfioctl.actions.domains import find
from vfioctl.actions.enable import kept_file
from vfioctl.actions.equip.record import equipment, way_back
from vfioctl.actions.facts import must_be_managed
from vfioctl.config.edit import remove_guest
from vfioctl.frozen import frozen
from vfioctl.handoff import identity, outcome
from vfioctl.handoff.markers import uuid_of
from vfioctl.reach import must_answer
from vfioctl.result import Message, Result

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vfioctl.actions.caller import Call
    from vfioctl.actions.hostdev_mode import Before
    from vfioctl.paths import Paths


def disable(call: Call, guest: str, xml: str | None = None, *, dry_run: bool = False) -> Result:
    """Manage `guest` no longer; `dry_run` only says what would change.

    Raises Refused when its domain cannot be read, with nothing touched.
    """
    call.need_trust()
    must_be_managed(call, guest)
    paths = call.composition.paths
    must_answer(paths.guest_config(guest))  # it may be a link to where the administrator keeps it
    before = hostdev_mode.before(paths, guest)
    back = _restore(call, guest, xml, before, apply=not dry_run)
    change = back.change
    data = {"guest": guest, "file": paths.guest_config(guest), "diff": change.diff, "applied": change.applied,
            "edited": back.edited, "dry_run": dry_run}  # fmt: skip
    if dry_run:
        return Result(data=data, messages=tuple(_edited(guest, back)))
    _put_aside(paths, guest)
    outcome.settle(paths, guest)
    if before:
        identity.unpin(paths, before.uuid)
        hostdev_mode.forget(paths, before.uuid)
    return Result(data=data, messages=_messages(paths, guest, back))


@frozen
class _Back:
    """What became of the domain. `edited`: somebody had changed it since `enable`, and that stays.

    `managed`: managed='yes' is restored in it.
    """

    change: Change
    edited: bool = False
    managed: bool = False


def _restore(call: Call, guest: str, xml: str | None, before: Before | None, *, apply: bool) -> _Back:
    """The domain without what `enable` put in, and managed='yes' where it was."""
    kept = equipment(before, call.paths.before_enable(before.uuid)) if before else None
    if before is None or not (before.addresses or kept):
        return _Back(Change())
    found = find(call, guest, xml)
    if kept is None or found.domain.uuid != before.uuid:
        return _Back(set_mode(call, found, "yes", before.addresses, apply=apply), managed=True)
    back = way_back(found.xml, before, kept)
    return _Back(changed(call, found, back.xml, apply=apply), back.edited, managed=bool(before.addresses))


def _put_aside(paths: Paths, guest: str) -> None:
    """Keep the file for the next `enable`, then remove it."""
    kept = kept_file(paths, guest)
    files.make_private_dir(os.path.dirname(kept))
    files.atomic_write(kept, files.read_text(paths.guest_config(guest), follow=True) or "")
    remove_guest(paths, guest)


def _messages(paths: Paths, guest: str, back: _Back) -> tuple[Message, ...]:
    said, change = [*_edited(guest, back)], back.change
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
