"""The plan of deleting snapshots: which images go, and what speaks against it; merge.py has the steps. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from vfioctl.plugin import Finding, Severity, as_size
from vfioctl_snapshot import down, refusals
from vfioctl_snapshot.facts import Facts, below, chain, dependents
from vfioctl_snapshot.merge import Deletion
from vfioctl_snapshot.record import Part, Record
from vfioctl_snapshot.settings import finding
from vfioctl_snapshot.steps import Draft, Steps


def delete(facts: Facts, doomed: tuple[Record, ...]) -> Draft:
    """The draft of deleting `doomed`, snapshots of the guest."""
    going = _going(facts, doomed)
    work = Deletion(facts, doomed, going, down.downs(facts, going), [])
    of_state = refusals.of_state(facts, "delete", may_run=True)
    findings = (*of_state, *_of_images(work), *_of_running(work))
    shown = {"snapshots": [record.shown() for record in doomed], "images": sorted(work.gone)}
    if any(found.severity is Severity.BLOCK for found in findings):
        return Draft(Steps(), findings=findings, shown=shown)
    made = Steps().then(*work.steps())
    return Draft(made, tuple(work.contents), findings, tuple(_lost(work)), shown)


def _going(facts: Facts, doomed: tuple[Record, ...]) -> dict[str, Part]:
    """The images that nobody needs any more: no other snapshot holds them, and the guest does not write to them."""
    names = {record.name for record in doomed}
    kept = {path for one in facts.records.readable if one.name not in names for path in one.images}
    parts = [part for record in doomed for part in record.disks]
    return {
        part.image: part for part in parts
        if part.image not in kept and part.image not in facts.active and part.image in facts.images
    }  # fmt: skip


def _of_images(work: Deletion) -> Iterator[Finding]:
    facts, going = work.facts, work.going
    for path, part in going.items():
        yield from refusals.of_need(facts, path)
        lower, form = below(facts, path, part.format)
        if lower and form not in refusals.FORMATS:
            said = f"{path} does not say the format of {lower} below it, so that it would have to be guessed."
            yield finding("snapshot.backing", said, hint="State it with: qemu-img rebase -u -F FORMAT -b BACKING IMAGE")
    for path, taken in _takers(work):
        yield from refusals.of_room(facts, path, sum(facts.images[image].used for image in taken))


def _takers(work: Deletion) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The images that take in others, each with those."""
    tops = {one.top for one in work.downs}
    for path in _over(work.facts, work.going):
        if path not in tops:
            yield path, tuple(_swallowed(work.facts, path, work.going))
    yield from ((one.base, one.left_over) for one in work.downs)


def _of_running(work: Deletion) -> Iterator[Finding]:
    """Of what a running guest has open, libvirt can merge what nobody else needs."""
    facts = work.facts
    yield from down.obstacles(facts, work.downs)
    for disk in facts.disks if facts.runs else ():
        if work.going.keys() & {path for path, _ in chain(facts, disk.source, disk.format)}:
            yield from refusals.of_strayed(facts, disk)


def _over(facts: Facts, going: dict[str, Part]) -> tuple[str, ...]:
    """The images that stay and lie directly over one that goes."""
    found = (other for path in going for other in dependents(facts, path) if other not in going)
    return tuple(sorted(set(found) & facts.family))


def _swallowed(facts: Facts, path: str, going: dict[str, Part]) -> Iterator[str]:
    """The images below `path` that go, down to the first that stays."""
    lower, _ = below(facts, path, "qcow2")
    while lower in going:
        yield lower
        lower, _ = below(facts, lower, going[lower].format)


def _lost(work: Deletion) -> Iterator[str]:
    facts, going = work.facts, work.going
    for record in work.doomed:
        yield f"Snapshot {record.name!r} of guest {facts.name} will be deleted; nobody can go back to it then:"
        for part in record.disks:
            if part.image in going:
                yield f"  {part.target}: {part.image}, {as_size(facts.images[part.image].used)}"
            elif part.image in facts.images:
                yield f"  {part.target}: {part.image} stays, since it is in use"
            else:
                yield f"  {part.target}: {part.image} is not there any more"


def outdated(records: tuple[Record, ...], keep: int) -> tuple[Record, ...]:
    """Of `records`, oldest first, those that are older than the `keep` newest."""
    return records[: max(0, len(records) - keep)]
