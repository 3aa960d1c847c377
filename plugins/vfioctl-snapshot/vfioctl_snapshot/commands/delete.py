"""`vfioctl snapshot delete` and `prune`: snapshots go, and the guest keeps what it has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from vfioctl.plugin import Message, Refused, Result, argument, asking, changing, guest_names, new_id
from vfioctl_snapshot import inside
from vfioctl_snapshot.commands.work import Doing, Subject, perform, subject
from vfioctl_snapshot.delete import delete as draft
from vfioctl_snapshot.delete import outdated
from vfioctl_snapshot.names import NOTHING_CHANGED
from vfioctl_snapshot.record import INTERNAL, Record

if TYPE_CHECKING:
    from vfioctl.plugin import Call

DELETION, PRUNING = "snapshot.unconfirmed_delete", "snapshot.unconfirmed_prune"  # what is asked


@click.command()
@click.argument("guest", shell_complete=guest_names)
@click.argument("name")
@asking
@changing
@click.pass_obj
def delete(call: Call, guest: str, name: str, node: str, *, yes: bool, dry_run: bool) -> Result:
    """Delete the snapshot NAME of GUEST.

    The guest and its other snapshots keep what they have: what they need of the images that go is copied first. What
    another guest, a clone or a template needs is not deleted. The guest may run: libvirt merges its images then.
    """
    about = subject(call, guest, node)
    if yes:
        call.agree(DELETION)
    record = about.named(name)
    _must_be_ours(about, record)
    how = Doing("delete", new_id(), DELETION, dry_run, finish=True)
    return _deleted(call, about, (record,), how)


@click.command()
@click.argument("guest", shell_complete=guest_names)
@click.option("--keep", type=click.IntRange(0), required=True, help="How many of the newest stay.")
@asking
@changing
@click.pass_obj
def prune(call: Call, guest: str, keep: int, node: str, *, yes: bool, dry_run: bool) -> Result:
    """Delete all snapshots of GUEST but the --keep newest.

    Those that vfioctl made count, with those of the hook before each start; those of others stay. The guest may run:
    libvirt merges its images then.
    """
    about = subject(call, guest, node)
    if yes:
        call.agree(PRUNING)
    doomed = outdated(tuple(record for record in about.known if record.is_ours), keep)
    if not doomed:
        data: dict[str, Any] = {"operation": None, "steps": [], "dry_run": dry_run, "snapshots": []}
        said = Message(f"Guest {about.facts.name} has no snapshots but the {keep} newest.")
        return Result(data={**data, "guest": about.facts.name}).saying(said)
    how = Doing("prune", new_id(), PRUNING, dry_run, finish=True)
    return _deleted(call, about, doomed, how)


def _deleted(call: Call, about: Subject, doomed: tuple[Record, ...], how: Doing) -> Result:
    """External ones and those inside images go by plans of their own; ours are seldom of both kinds."""
    methods = {record.method for record in doomed}
    if len(methods) > 1:
        raise Refused(
            "snapshot.mixed", f"Guest {about.facts.name} has snapshots of both kinds; they are deleted one by one.",
            state=NOTHING_CHANGED, hints=(f"See: vfioctl snapshot list {argument(about.facts.name)}",),
        )  # fmt: skip
    made = inside.delete(about.facts, doomed) if INTERNAL in methods else draft(about.facts, doomed)
    return perform(call, about.facts, made, how)


def _must_be_ours(about: Subject, record: Record) -> None:
    """What others made is theirs to delete: their tools know what belongs to it."""
    if record.is_ours:
        return
    guest, name = argument(about.facts.name), argument(record.name)
    how = f"virsh snapshot-delete {guest} {name}" if record.in_libvirt else f"qemu-img snapshot -d {name} IMAGE"
    raise Refused(
        "snapshot.not_ours", f"Snapshot {record.name!r} of guest {about.facts.name} was made by {record.origin}.",
        state=NOTHING_CHANGED, hints=(f"Delete it with: {how}",),
    )  # fmt: skip
