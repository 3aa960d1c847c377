"""The plan of a snapshot of a guest that is off: an overlay over each disk, copies of what belongs to them. Pure.

Nothing that the guest has written is touched: its images stay as they are, and it goes on in new ones over them.
"""

from __future__ import annotations

from collections.abc import Iterator

from vfioctl.plugin import TYPE_CHECKING, Finding, Severity, content_name, frozen
from vfioctl_snapshot import names, refusals, steps
from vfioctl_snapshot.domain_xml import changed, record_xml
from vfioctl_snapshot.facts import Facts, current
from vfioctl_snapshot.record import Part, Record, place
from vfioctl_snapshot.settings import REQUIRE, SKIP, Settings, finding
from vfioctl_snapshot.steps import Content, Draft, Steps, Target

if TYPE_CHECKING:
    from vfioctl.plugin import GuestDisk

BY_POLICY = ("snapshot.not_here", "snapshot.unsuited", "snapshot.format")  # normal beside a disk that has snapshots


@frozen
class Wish:
    """What was asked for; `operation` marks what is made, `now` is in seconds since the epoch."""

    name: str
    operation: str
    now: float
    disks_only: bool = False


def content(data: bytes) -> Content:
    return Content(content_name(data), data)


def create(facts: Facts, settings: Settings, wish: Wish) -> Draft:
    """The draft of the snapshot that `wish` names."""
    chosen, skipped, findings = _chosen(facts, settings)
    record = _record(facts, wish, chosen, skipped)
    findings = (*refusals.of_state(facts, "create"), *findings, *_of_guest(facts, settings, wish, chosen, findings))
    if any(found.severity is Severity.BLOCK for found in findings):
        return Draft(Steps(), findings=findings, shown={"snapshot": record.shown()})
    return _drafted(facts, record, chosen, findings)


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
        yield from refusals.of_chain(facts, disk.target, disk.source, disk.format, settings.longest_chain)
    if not wish.disks_only:
        yield from refusals.of_vtpm(facts)
    if facts.nvram and not facts.nvram_exists and not wish.disks_only:
        said = f"There is no NVRAM {facts.nvram} yet: the guest never ran. A revert gives it a new one."
        yield finding("snapshot.no_nvram", said, Severity.INFO)


def _record(facts: Facts, wish: Wish, chosen: tuple[GuestDisk, ...], skipped: dict[str, str]) -> Record:
    taken = set(facts.images)
    known = [record.name for record in facts.records.readable]
    parts = []
    for disk in chosen:
        path = names.overlay(disk.source, wish.name, known, taken)
        taken.add(path)
        parts.append(Part(disk.target, disk.source, disk.format, path))
    return Record(
        name=wish.name, uuid=facts.uuid, guest=facts.name, created=wish.now, disks=tuple(parts), skipped=skipped,
        nvram=kept_nvram(facts, wish), uefi=facts.uefi, in_libvirt=True,
    )  # fmt: skip


def kept_nvram(facts: Facts, wish: Wish) -> str:
    """Where the copy of the NVRAM goes; "" for none."""
    if wish.disks_only or not facts.nvram_exists:
        return ""
    return names.nvram_copy(facts.nvram, wish.name, facts.files)


def _drafted(facts: Facts, record: Record, chosen: tuple[GuestDisk, ...], findings: tuple[Finding, ...]) -> Draft:
    at = Target(facts.uri, facts.uuid)
    former = content(facts.xml.encode())
    new = content(changed(facts.xml, {part.target: (part.overlay, "qcow2") for part in record.disks}).encode())
    kept = content(record.to_json())
    libvirt = content(record_xml(record, facts.xml, _parent(facts)).encode())
    made = Steps()
    for disk, part in zip(chosen, record.disks, strict=True):
        like = facts.images[disk.source]
        made = made.then(steps.overlay(at, part, like))
    if record.nvram:
        made = made.then(steps.copy("nvram", facts.nvram, record.nvram, "the firmware's variables belong to the disks"))
    made = made.then(
        steps.write(place(facts.uuid, record.name), kept),
        steps.define(at, new.name, former.name, "the guest goes on in the new images"),
        steps.tell_libvirt(at, record.name, libvirt.name),
    )
    return Draft(made, (former, new, kept, libvirt), findings, shown={"snapshot": record.shown()})


def _parent(facts: Facts) -> str:
    """The snapshot before this one, where libvirt knows it too."""
    name = current(facts)
    return name if name in {one.name for one in facts.libvirt} else ""
