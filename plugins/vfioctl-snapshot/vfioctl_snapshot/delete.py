"""The plan of deleting snapshots: what lies over their images takes in what it needs of them, then they go. Pure.

An image that is rebased says the same to its guest at every moment: clusters are copied into it before it lets go of
what they came from (qemu-img rebase without -u). So an interruption loses nothing. The domain is changed only where
libvirt has written the chain of a disk into it.

What a running guest writes to takes in what it needs by a job of libvirt's (disk.pull); what lies between that and an
image that goes is open in its QEMU, and nothing can be put into it.
"""

from __future__ import annotations

from collections.abc import Iterator

from vfioctl.plugin import TYPE_CHECKING, Finding, Severity, StepProposal, as_size
from vfioctl_snapshot import refusals, steps
from vfioctl_snapshot.domain_xml import chained, without_chains
from vfioctl_snapshot.facts import Facts, below, chain, dependents
from vfioctl_snapshot.record import Part, Record, place
from vfioctl_snapshot.settings import finding
from vfioctl_snapshot.steps import Content, Draft, Steps, Target, content

if TYPE_CHECKING:
    from vfioctl.plugin import GuestSnapshot


def delete(facts: Facts, doomed: tuple[Record, ...]) -> Draft:
    """The draft of deleting `doomed`, snapshots of the guest."""
    going = _going(facts, doomed)
    of_state = refusals.of_state(facts, "delete", may_run=True)
    findings = (*of_state, *_of_images(facts, going), *_of_running(facts, going))
    shown = {"snapshots": [record.shown() for record in doomed], "images": sorted(going)}
    lost = tuple(_lost(facts, doomed, going))
    if any(found.severity is Severity.BLOCK for found in findings):
        return Draft(Steps(), findings=findings, shown=shown)
    at = Target(facts.uri, facts.uuid)
    made, contents = _unchained(facts, at, going)
    for path in going:
        made = made.then(*_rebased(facts, at, path, going))
    # What lies below one that libvirt forgets is hung elsewhere, and is another one then: so from the end.
    for snapshot in reversed(_known_to_libvirt(facts, doomed)):
        contents.append(content(snapshot.xml.encode()))
        made = made.then(steps.forget(at, snapshot, facts.libvirt, contents[-1].name))
    for record in doomed:
        made = made.then(*_gone(facts, record, going))
    return Draft(made, tuple(contents), findings, lost, shown)


def _unchained(facts: Facts, at: Target, going: dict[str, Part]) -> tuple[Steps, list[Content]]:
    """The configuration names none of the images that go."""
    if facts.runs or not chained(facts.xml, going):  # libvirt writes it anew after its job
        return Steps(), []
    former, new = content(facts.xml.encode()), content(without_chains(facts.xml, going).encode())
    reason = "libvirt reads the chain from the images"
    return Steps().then(steps.define(at, new.name, former.name, reason)), [former, new]


def _known_to_libvirt(facts: Facts, doomed: tuple[Record, ...]) -> tuple[GuestSnapshot, ...]:
    """What libvirt keeps of them, each after the one that it lies below."""
    names = {record.name for record in doomed if record.in_libvirt}
    waiting, found = {one.name: one for one in facts.libvirt if one.name in names}, []
    while waiting:
        free = [one for one in waiting.values() if one.parent not in waiting] or list(waiting.values())
        found += free
        waiting = {name: one for name, one in waiting.items() if one not in free}
    return tuple(found)


def _going(facts: Facts, doomed: tuple[Record, ...]) -> dict[str, Part]:
    """The images that nobody needs any more: no other snapshot holds them, and the guest does not write to them."""
    names = {record.name for record in doomed}
    kept = {path for one in facts.records.readable if one.name not in names for path in one.images}
    parts = [part for record in doomed for part in record.disks]
    return {
        part.image: part for part in parts
        if part.image not in kept and part.image not in facts.active and part.image in facts.images
    }  # fmt: skip


def _of_images(facts: Facts, going: dict[str, Part]) -> Iterator[Finding]:
    for path, part in going.items():
        yield from refusals.of_need(facts, path)
        lower, form = below(facts, path, part.format)
        if lower and form not in refusals.FORMATS:
            said = f"{path} does not say the format of {lower} below it, so that it would have to be guessed."
            yield finding("snapshot.backing", said, hint="State it with: qemu-img rebase -u -F FORMAT -b BACKING IMAGE")
    for path in _over(facts, going):
        needed = sum(facts.images[image].used for image in _swallowed(facts, path, going))
        yield from refusals.of_room(facts, path, needed)


def _of_running(facts: Facts, going: dict[str, Part]) -> Iterator[Finding]:
    """Of the images that a running guest has open, only those that it writes to can take others in."""
    for disk in facts.disks if facts.runs else ():
        opened = [path for path, _ in chain(facts, disk.source, disk.format)]
        between = set(_over(facts, going)) & set(opened[1:])
        if between:
            yield refusals.between(facts, disk.target, min(between, key=opened.index))
        if going.keys() & set(opened):
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


def _rebased(facts: Facts, at: Target, path: str, going: dict[str, Part]) -> Iterator[StepProposal]:
    """What lies over `path` is put over the first image below that stays."""
    for over in sorted(set(dependents(facts, path)) & facts.family - going.keys()):
        lower = below(facts, path, going[path].format)
        while lower[0] in going:
            lower = below(facts, lower[0], going[lower[0]].format)
        reason = f"it takes in what it needs of {path}"
        rebased = steps.rebase(at, facts.images[over], (path, going[path].format), lower, reason)
        written = next((disk.target for disk in facts.disks if disk.source == over), "") if facts.runs else ""
        yield steps.pull(at, written, rebased) if written else rebased


def _gone(facts: Facts, record: Record, going: dict[str, Part]) -> Iterator[StepProposal]:
    """Images first, then the copies of NVRAM and TPM, the record last: what fails on the way stays listed."""
    for part in record.disks:
        if part.image in going:
            at = Target(facts.uri, facts.uuid)
            yield steps.delete(facts.images[part.image], f"{part.target} of snapshot {record.name!r}", at)
    reason = f"it belongs to snapshot {record.name!r}"
    copies = (path for path in (record.nvram, record.tpm) if path in facts.files and path != facts.nvram)
    yield from (steps.delete(facts.files[path], reason) for path in copies)
    if written := facts.files.get(place(facts.uuid, record.name)):
        yield steps.delete(written, reason)


def _lost(facts: Facts, doomed: tuple[Record, ...], going: dict[str, Part]) -> Iterator[str]:
    for record in doomed:
        yield f"Snapshot {record.name!r} of guest {facts.name} is deleted; nobody can go back to it any more:"
        for part in record.disks:
            if part.image in going:
                yield f"  {part.target}: {part.image}, {as_size(facts.images[part.image].used)}"
            else:
                yield f"  {part.target}: {part.image} stays, since it is in use"


def outdated(records: tuple[Record, ...], keep: int) -> tuple[Record, ...]:
    """Of `records`, oldest first, those that are older than the `keep` newest."""
    return records[: max(0, len(records) - keep)]
