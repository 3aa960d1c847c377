"""Everything that is known of a hand-off whose journal is put aside, for the person who has to check the rest by hand.

Looks at the ledger, the marks, what can be read of the journal, and the machine; changes nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

from vfioctl.checking import TYPE_CHECKING
from vfioctl.compose import Composition
from vfioctl.errors import VfioctlError
from vfioctl.frozen import frozen
from vfioctl.handoff import damaged, markers
from vfioctl.handoff.notes import HAND_OFF
from vfioctl.host.readers import link_name
from vfioctl.paths import Paths
from vfioctl.txn.journal import read
from vfioctl.txn.kind import kind
from vfioctl.txn.machine import Machine
from vfioctl.txn.plan import Action
from vfioctl.txn.resources import Entry
from vfioctl.txn.shape import is_number
from vfioctl.txn.step import Lifetime, Phase, Scope, State, Step, Undo

if TYPE_CHECKING:
    from typing import Any

    from vfioctl.txn.journal import Story

MOST_RECORDS = 5
LONGEST = 60  # characters that are shown of a version
ANY = Exception  # what a damaged record says may break whatever looks at it; then nobody knows, and that is said


@frozen
class Remains:
    """What is left of one hand-off. `since` is in seconds since the epoch; what nobody knows is empty or None.

    Another operation whose journal is put aside is told of in the same way.
    """

    uuid: str
    guest: str
    operation: str
    problems: tuple[str, ...]  # a sentence for each file of it that is damaged, and each step that nobody can undo
    since: float | None
    version: str
    devices: tuple[str, ...]  # in words: each with the driver that it is on, and was on
    holds: tuple[str, ...]  # resources, as the ledger names them
    last: tuple[str, ...]  # its last records, oldest first
    check: tuple[str, ...]  # what is not as it was before, or may not be
    undo: str  # the shell script that brings everything home; "" when there is none
    undone: bool  # that one has been run to its end


def of(composition: Composition, uuid: str) -> Remains:
    """What is left of the hand-off of `uuid`."""
    paths, machine = composition.paths, composition.machine()
    held, guest = damaged.entries(paths, uuid), damaged.guest_of(paths, uuid)
    head = next(filter(None, map(damaged.header, _files(paths, uuid))), {})
    since: Any = head.get("started")
    story = damaged.story_of(paths, uuid)
    mine = markers.are_of(paths, guest, uuid)
    return Remains(
        uuid=uuid, guest=guest, operation=story.plan.operation if story else HAND_OFF,
        problems=(*_problems(paths, uuid), *(_in_vain(story) if story else ())),
        since=float(since) if is_number(since) else None,
        version=str(head.get("version", ""))[:LONGEST],
        devices=tuple(_device(paths, address, held) for address in damaged.devices(paths, uuid)),
        holds=tuple(entry.resource for entry in held),
        last=tuple(said for path in _files(paths, uuid) for said in damaged.last_words(path, MOST_RECORDS)),
        check=(*_unlike_before(held, machine), *(_lasting(story) if story else _on_disk(head))),
        undo=_undo(paths, guest) if mine else "",
        undone=mine and damaged.is_undone(paths, guest),
    )  # fmt: skip


def _files(paths: Paths, uuid: str) -> tuple[str, str]:
    return paths.boot_journal(uuid), paths.disk_journal(uuid)


def _problems(paths: Paths, uuid: str) -> Iterator[str]:
    for path in _files(paths, uuid):
        try:
            read(path)
        except VfioctlError as error:
            yield error.message


def _in_vain(story: Story) -> Iterator[str]:
    """What a recovery has tried in vain."""
    for record in story.failures:
        yield f"{record.step} could not be {'undone' if record.action is Action.UNDO else 'done'}: {record.note}"


def _undo(paths: Paths, guest: str) -> str:
    path = os.path.join(paths.guest_markers(guest), markers.UNDO)
    return path if os.path.isfile(path) else ""


def _device(paths: Paths, address: str, held: tuple[Entry, ...]) -> str:
    now = link_name(paths.pci(address, "driver"))
    known = (entry.baseline for entry in held if entry.resource == f"pci:{address}")
    before = next((baseline["driver"] for baseline in known if "driver" in baseline), now)
    was = "" if before == now else f" (before: {before or 'without a driver'})"
    return f"{address} is {f'on {now}' if now else 'without a driver'}{was}"


def _unlike_before(held: tuple[Entry, ...], machine: Machine) -> Iterator[str]:
    """What the ledger holds of it and is not as it was: the machine says."""
    for entry in held:
        try:
            state = kind(entry.kind).probe(_step(entry), machine)
        except ANY as error:
            yield f"{entry.resource}: nobody knows how it is ({error}); before: {_words(entry.baseline)}"
            continue
        if state is not State.BEFORE:
            yield f"{entry.resource} is not as it was before: {_words(entry.baseline)}"


def _step(entry: Entry) -> Step:
    """A step that has made what the entry holds, as far as a look at the machine needs it."""
    form = kind(entry.kind)
    return Step(
        id=entry.resource, kind=entry.kind, params=entry.wish, reason="", phase=Phase.GIVE, resource=entry.resource,
        baseline=entry.baseline, undo=Undo.EXACT, scope=Scope.LEASE, lifetime=form.lifetime, plugin="",
    )  # fmt: skip


def _on_disk(head: Mapping[str, Any]) -> Iterator[str]:
    """What its plan wanted to make on a disk, which no ledger of this boot may know."""
    steps = head.get("plan", {}).get("steps")
    for step in steps if isinstance(steps, list) else ():
        if isinstance(step, dict) and step.get("lifetime") == Lifetime.DISK and isinstance(step.get("resource"), str):
            yield f"{step['resource']} may have been changed by {step.get('kind')}"


def _lasting(story: Story) -> Iterator[str]:
    """What was begun, lies on a disk, and was not undone, but for what stays once the operation has succeeded."""
    left = set(story.begun(Action.APPLY)) - story.finished(Action.UNDO)
    for step in story.plan.changes:
        kept = story.given and step.scope is Scope.TRANSACTION
        if step.id in left and step.lifetime is Lifetime.DISK and not kept:
            yield f"{step.resource} may have been changed by {step.kind}"


def _words(baseline: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in baseline.items()) or "nothing is known of it"
