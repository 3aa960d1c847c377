"""The plan of a snapshot: an overlay over each disk, copies of what belongs to them. Pure.

Nothing that the guest has written is touched: its images stay as they are, and it goes on in new ones over them. A
guest that is off gets them by its configuration; one that runs is changed over by libvirt, all disks at once.
"""

from __future__ import annotations

from collections.abc import Iterator

from vfioctl.plugin import TYPE_CHECKING, Finding, Severity, StepProposal, frozen
from vfioctl_snapshot import names, refusals, steps, tpm
from vfioctl_snapshot.domain_xml import changed, live_xml, record_xml
from vfioctl_snapshot.facts import Facts, current
from vfioctl_snapshot.record import Part, Record, place
from vfioctl_snapshot.settings import REQUIRE, SKIP, Settings, finding
from vfioctl_snapshot.steps import Content, Draft, Steps, Target, content

if TYPE_CHECKING:
    from vfioctl.plugin import GuestDisk

BY_POLICY = ("snapshot.not_here", "snapshot.unsuited", "snapshot.format")  # normal beside a disk that has snapshots


@frozen
class Wish:
    """What was asked for; `operation` marks what is made, `now` is in seconds since the epoch.

    `quiesce`: the guest's agent lets its file systems stand still meanwhile; one that does not run needs none.
    `without` is the command line that asks for the disks alone.
    """

    name: str
    operation: str
    now: float
    disks_only: bool = False
    quiesce: bool = False
    without: str = ""


def create(facts: Facts, settings: Settings, wish: Wish) -> Draft:
    """The draft of the snapshot that `wish` names."""
    chosen, skipped, findings = _chosen(facts, settings)
    record = _record(facts, wish, chosen, skipped)
    of_state = refusals.of_state(facts, "create", may_run=True)
    findings = (*of_state, *findings, *_of_guest(facts, settings, wish, chosen, findings))
    if any(found.severity is Severity.BLOCK for found in findings):
        return Draft(Steps(), findings=findings, shown={"snapshot": record.shown()})
    return _drafted(facts, record, wish, findings)


def _chosen(facts: Facts, settings: Settings) -> tuple[tuple[GuestDisk, ...], dict[str, str], tuple[Finding, ...]]:
    """The disks that get an overlay, why the others do not, and what of that is to be said."""
    chosen, skipped, findings = [], {}, []
    for disk in facts.disks:
        policy = settings.policy_of(disk)
        why = refusals.of_disk(facts, disk)
        if policy == SKIP:
            skipped[disk.target] = "its policy is skip"
        elif why is None:
            chosen.append(disk)
        else:
            skipped[disk.target] = why[1]
            mild = policy != REQUIRE and why[0] in BY_POLICY
            said = f"{disk.target} of guest {facts.name} is not snapshotted: {why[1]}."
            findings.append(finding(why[0], said, Severity.WARN if mild else Severity.BLOCK, _hint(disk, mild=mild)))
    return tuple(chosen), skipped, tuple(findings)


def _hint(disk: GuestDisk, *, mild: bool) -> str:
    return "" if mild else f'Leave it out by setting {disk.target} = "skip" under [snapshot.disks] in the guest file.'


def _of_guest(
    facts: Facts, settings: Settings, wish: Wish, chosen: tuple[GuestDisk, ...], findings: tuple[Finding, ...]
) -> Iterator[Finding]:
    if settings.enabled:
        said = f"Guest {facts.name} gets snapshots inside its images before each start; two kinds must not be mixed."
        yield finding("snapshot.mixed", said, hint="Turn those off first: enabled = false under [snapshot].")
    if not chosen and not any(found.severity is Severity.BLOCK for found in findings):
        yield finding("snapshot.nothing", f"Guest {facts.name} has no disk that could be snapshotted.")
    for disk in chosen:
        yield from refusals.of_strayed(facts, disk)
        yield from _of_chain(facts, disk, settings.longest_chain)
    if not wish.disks_only:
        yield from tpm.of_keeping(facts)
    if not facts.files_seen:
        yield from refusals.of_inside(facts)
        yield from () if wish.disks_only else refusals.of_reach(facts)
        return
    if facts.nvram and not facts.nvram_exists and not wish.disks_only:
        said = f"There is no NVRAM {facts.nvram} yet: the guest never ran. A revert gives it a new one."
        yield finding("snapshot.no_nvram", said, Severity.INFO)


def _of_chain(facts: Facts, disk: GuestDisk, limit: int) -> Iterator[Finding]:
    if facts.files_seen:
        return refusals.of_chain(facts, disk.target, disk.source, disk.format, limit)
    return refusals.of_depth(facts, disk, limit)


def _record(facts: Facts, wish: Wish, chosen: tuple[GuestDisk, ...], skipped: dict[str, str]) -> Record:
    taken = {*facts.images, *facts.others, *(path for disk in facts.disks for path in (disk.source, *disk.backing))}
    known = {record.name for record in facts.records.readable} | {one.name for one in facts.libvirt}
    parts = []
    for disk in chosen:
        path = names.overlay(disk.source, wish.name, known, taken)
        taken.add(path)
        parts.append(Part(disk.target, disk.source, disk.format, path))
    return Record(
        name=wish.name, uuid=facts.uuid, guest=facts.name, created=wish.now, disks=tuple(parts), skipped=skipped,
        nvram=kept_nvram(facts, wish), tpm=kept_tpm(facts, wish), uefi=facts.uefi, in_libvirt=True, state=facts.state,
    )  # fmt: skip


def kept_nvram(facts: Facts, wish: Wish) -> str:
    """Where the copy of the NVRAM goes; "" for none."""
    if wish.disks_only or not facts.nvram_exists:
        return ""
    return names.nvram_copy(facts.nvram, wish.name, facts.files)


def kept_tpm(facts: Facts, wish: Wish) -> str:
    """Where the copy of the TPM's state goes; "" for none."""
    if wish.disks_only or not facts.tpm_exists:
        return ""
    return names.tpm_copy(facts.tpm, wish.name, facts.files)


def kept_parts(facts: Facts, record: Record) -> Iterator[StepProposal]:
    """The copies of what belongs to the disks as they are now."""
    if record.nvram and record.nvram != facts.nvram:
        yield steps.copy("nvram", facts.nvram, record.nvram, "the firmware's variables belong to the disks")
    if record.tpm:
        yield steps.copy("kept-tpm", facts.tpm, record.tpm, "the state of the TPM belongs to the disks")


def _drafted(facts: Facts, record: Record, wish: Wish, findings: tuple[Finding, ...]) -> Draft:
    if not facts.files_seen:  # libvirt makes the images as well, and has the only record
        more, contents = _changed_over(facts, record, wish)
        return Draft(Steps().then(*more), contents, findings, shown={"snapshot": record.shown()})
    at, kept = Target(facts.uri, facts.uuid), content(record.to_json())
    made = Steps()
    for part in record.disks:
        made = made.then(steps.overlay(at, part, facts.images[part.image], live=facts.runs))
    made = made.then(*kept_parts(facts, record))
    made = made.then(steps.write(place(facts.uuid, record.name), kept))
    more, contents = _changed_over(facts, record, wish) if facts.runs else _configured(facts, record)
    return Draft(made.then(*more), (kept, *contents), findings, shown={"snapshot": record.shown()})


def _configured(facts: Facts, record: Record) -> tuple[tuple[StepProposal, ...], tuple[Content, ...]]:
    """How a guest that is off gets to the new images, and libvirt to its record."""
    at, former = Target(facts.uri, facts.uuid), content(facts.xml.encode())
    new = content(changed(facts.xml, {part.target: (part.overlay, "qcow2") for part in record.disks}).encode())
    libvirt = content(record_xml(record, facts.xml, _parent(facts)).encode())
    reason = "the guest goes on in the new images"
    define = steps.define(at, new.name, former.name, reason)
    return (define, steps.tell_libvirt(at, record.name, libvirt.name)), (former, new, libvirt)


def _changed_over(facts: Facts, record: Record, wish: Wish) -> tuple[tuple[StepProposal, ...], tuple[Content, ...]]:
    """How a running guest does; libvirt writes its record by itself, and changes the configuration as well."""
    asked = content(live_xml(record, (disk.target for disk in facts.disks)).encode())
    at = Target(facts.uri, facts.uuid)
    there = facts.files_seen
    return (steps.change_over(at, record.name, asked.name, quiesce=wish.quiesce, there=there),), (asked,)


def _parent(facts: Facts) -> str:
    """The snapshot before this one, where libvirt knows it too."""
    name = current(facts)
    return name if name in {one.name for one in facts.libvirt} else ""
