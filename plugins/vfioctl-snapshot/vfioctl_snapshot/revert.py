"""The plan of going back: new images over those of a snapshot, its NVRAM, and what was there kept before. Pure.

One change of the domain swaps all of it at once. The former NVRAM stays under its name; the guest gets a copy of the
snapshot's under a new one, so that the snapshot can be gone back to again. The state of a TPM has one place: it follows
right after, with what was there kept as a copy.
"""

from __future__ import annotations

from collections.abc import Iterator

from vfioctl.plugin import Finding, Severity, StepProposal, as_size, replace
from vfioctl_snapshot import names, refusals, steps, tpm
from vfioctl_snapshot.create import Wish, kept_nvram, kept_parts, kept_tpm
from vfioctl_snapshot.domain_xml import changed
from vfioctl_snapshot.facts import Facts, chain, dependents
from vfioctl_snapshot.record import Part, Record, place
from vfioctl_snapshot.settings import finding
from vfioctl_snapshot.steps import Draft, Steps, Target, content


def revert(
    facts: Facts, record: Record, wish: Wish, *, keep: bool, limit: int, state: tpm.Held | None = None
) -> Draft:
    """The draft of going back to `record`; `wish` names what is kept of the present state, unless not `keep`.

    `state` is what its copy of the TPM's state holds, None where there is none or it is not put back.
    """
    overlays = _overlays(facts, record)
    kept = _kept(facts, record, wish)
    findings = (
        *refusals.of_state(facts, "revert"), *refusals.of_parts(facts, record), *_of_guest(facts, record, wish, limit),
    )  # fmt: skip
    before = kept if keep and kept.holds_anything else None
    shown = {"snapshot": record.shown(), "kept": before.shown() if before else None}
    if any(found.severity is Severity.BLOCK for found in findings):
        return Draft(Steps(), findings=findings, shown=shown)
    made, contents = _swap(facts, record, overlays, wish, before)
    made, contents = tpm.put_back(facts, made, contents, state)
    lost = _lost(facts, kept)
    if not keep:
        made = made.then(*_discarded(facts, kept))
    return Draft(made, contents, findings, () if keep else lost, shown)


def _overlays(facts: Facts, record: Record) -> tuple[Part, ...]:
    """The new images over those of the snapshot."""
    taken, known = set(facts.images), [one.name for one in facts.records.readable]
    parts = []
    for part in record.disks:
        path = names.overlay(part.image, f"after-{record.name}", known, taken)
        taken.add(path)
        parts.append(Part(part.target, part.image, part.format, path))
    return tuple(parts)


def _kept(facts: Facts, record: Record, wish: Wish) -> Record:
    """The present state as a snapshot: the images that the guest leaves, as far as they are there, and its NVRAM."""
    targets = {part.target for part in record.disks}
    left = (disk for disk in facts.disks if disk.target in targets and disk.source in facts.images)
    disks = tuple(Part(disk.target, disk.source, disk.format) for disk in left)
    leaves, whole = bool(record.nvram) and not wish.disks_only, replace(wish, disks_only=False)
    return Record(
        name=wish.name, uuid=facts.uuid, guest=facts.name, created=wish.now, disks=disks, origin="revert",
        nvram=facts.nvram if leaves and facts.nvram_exists else kept_nvram(facts, whole), uefi=facts.uefi,
        tpm=kept_tpm(facts, whole),
    )  # fmt: skip


def _of_guest(facts: Facts, record: Record, wish: Wish, limit: int) -> Iterator[Finding]:
    for part in record.disks:
        disk = facts.disk(part.target)
        why = refusals.of_disk(facts, disk) if disk else None
        if why and why[0] in ("snapshot.mixed", "snapshot.not_here"):
            yield finding(why[0], f"{part.target} of guest {facts.name} is not put back: {why[1]}.")
        if why and why[0] == refusals.UNREADABLE:
            yield finding(why[0], f"{part.target} of guest {facts.name} is not kept: {why[1]}.", Severity.WARN)
        yield from refusals.of_chain(facts, part.target, part.image, part.format, limit)
    if wish.disks_only:
        return
    yield from tpm.of_return(facts, record, wish.without)
    if facts.uefi and not record.nvram and facts.nvram_exists:
        yield refusals.without_nvram(facts, record, wish.without)


def _swap(
    facts: Facts, record: Record, overlays: tuple[Part, ...], wish: Wish, kept: Record | None
) -> tuple[Steps, tuple[steps.Content, ...]]:
    at, made = Target(facts.uri, facts.uuid), Steps()
    for part in overlays:
        made = made.then(steps.overlay(at, part, facts.images[part.image]))
    nvram = ""
    if record.nvram and not wish.disks_only:
        nvram = names.nvram_in_use(facts.nvram, wish.operation)
        made = made.then(steps.copy("nvram", record.nvram, nvram, "the firmware's variables of the snapshot"))
    contents = []
    if kept:
        made = made.then(*kept_parts(facts, kept))
        contents.append(content(kept.to_json()))
        made = made.then(steps.write(place(facts.uuid, kept.name), contents[0]))
    former = content(facts.xml.encode())
    sources = {part.target: (part.overlay, "qcow2") for part in overlays}
    new = content(changed(facts.xml, sources, nvram).encode())
    made = made.then(steps.define(at, new.name, former.name, f"the guest goes on from {record.name!r}"))
    return made, (*contents, former, new)


def _discarded(facts: Facts, kept: Record) -> Iterator[StepProposal]:
    """The deletion of what only the present state needs; images that a snapshot holds stay."""
    held = {path for record in facts.records.readable for path in record.images}
    for part in kept.disks:
        if part.image not in held and not _is_needed(facts, part.image):
            at = Target(facts.uri, facts.uuid)
            yield steps.delete(facts.images[part.image], f"the present state of {part.target} is discarded", at)
    if kept.nvram == facts.nvram and facts.nvram_exists:
        yield steps.delete(facts.files[facts.nvram], "the present state of the firmware's variables is discarded")


def _is_needed(facts: Facts, path: str) -> bool:
    below = {found for part in _frozen(facts) for found, _ in chain(facts, part.image, part.format)}
    return path in facts.others or path in below or bool(tuple(dependents(facts, path)))


def _frozen(facts: Facts) -> Iterator[Part]:
    for record in facts.records.readable:
        yield from record.disks


def _lost(facts: Facts, kept: Record) -> tuple[str, ...]:
    lines = [f"The present state of guest {facts.name} is lost, with all that was written since it was last kept:"]
    lines += (f"  {part.target}: {part.image}, {as_size(facts.images[part.image].used)}" for part in kept.disks)
    return tuple(lines)
