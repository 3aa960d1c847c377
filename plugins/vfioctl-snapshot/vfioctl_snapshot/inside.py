"""The plans for snapshots inside an image, such as those of the hook: going back, and deleting them. Pure.

Going back overwrites the present state of the image, so that it is kept inside it first, whatever was asked for.
"""

from __future__ import annotations

from collections.abc import Iterator

from vfioctl.plugin import Finding, Severity, argument
from vfioctl_snapshot import names, refusals, steps, tpm
from vfioctl_snapshot.create import Wish
from vfioctl_snapshot.domain_xml import changed
from vfioctl_snapshot.facts import Facts
from vfioctl_snapshot.naming import nvram_stem
from vfioctl_snapshot.record import EXTERNAL, Record
from vfioctl_snapshot.settings import finding
from vfioctl_snapshot.steps import Content, Draft, Steps, Target, content


def kept_name(wish: Wish) -> str:
    """What the present state is called: a step adds the operation's id to the name of what it makes."""
    return f"{wish.name}-{wish.operation}"


def revert(facts: Facts, record: Record, wish: Wish, state: tpm.Held | None = None) -> Draft:
    """The draft of going back to `record`, with the present state kept as `kept_name`; `state` as in revert.py."""
    findings = (*refusals.of_state(facts, "revert"), *_of_record(facts, record, wish))
    shown = {"snapshot": record.shown(), "kept": {"name": kept_name(wish)}}
    if any(found.severity is Severity.BLOCK for found in findings):
        return Draft(Steps(), findings=findings, shown=shown)
    at, made = Target(facts.uri, facts.uuid), Steps()
    for part in record.disks:
        made = made.then(steps.keep_inside(part.target, part.image, wish.name))
    swap = record.nvram and not wish.disks_only
    if facts.nvram_exists:
        copy = f"{nvram_stem(facts.nvram)}.{kept_name(wish)}"
        made = made.then(steps.copy("kept", facts.nvram, copy, "the firmware's variables as they are now"))
    if facts.tpm_exists:
        copy = f"{facts.tpm}.{kept_name(wish)}"
        made = made.then(steps.copy("kept-tpm", facts.tpm, copy, "the state of the TPM as it is now"))
    nvram = names.nvram_in_use(facts.nvram, wish.operation) if swap else ""
    if swap:
        made = made.then(steps.copy("nvram", record.nvram, nvram, "the firmware's variables of the snapshot"))
    for part in record.disks:
        made = made.then(steps.go_back(at, part.target, part.image, record.name, kept_name(wish)))
    contents: tuple[Content, ...] = ()
    if swap:
        former, new = contents = content(facts.xml.encode()), content(changed(facts.xml, {}, nvram).encode())
        reason = "the guest starts with the firmware's variables of then"
        made = made.then(steps.define(at, new.name, former.name, reason))
    made, contents = tpm.put_back(facts, made, contents, state)
    return Draft(made, contents, findings, shown=shown)


def _of_record(facts: Facts, record: Record, wish: Wish) -> Iterator[Finding]:
    if record.memory:
        yield _of_memory(facts, record)
    if any(one.method == EXTERNAL for one in facts.records.readable):
        said = f"Guest {facts.name} has external snapshots as well, and the two kinds must not be mixed."
        hint = f"Delete those of one kind first; see: vfioctl snapshot list {argument(facts.name)}"
        yield finding("snapshot.mixed", said, hint=hint)
    yield from _of_disks(facts, record)
    if wish.disks_only:
        return
    yield from tpm.of_return(facts, record, wish.without)
    if facts.nvram_exists and not record.nvram:
        yield refusals.without_nvram(facts, record, wish.without)


def _of_memory(facts: Facts, record: Record) -> Finding:
    """The disks belong to the memory, which QEMU puts back into no machine that has a device of the host."""
    said = f"Snapshot {record.name!r} of guest {facts.name} holds the memory of a running machine with its disks."
    again = f"libvirt goes back to both: virsh snapshot-revert {argument(facts.name)} {argument(record.name)}"
    if facts.hostdevs:
        said = f"{said} It cannot be put back while the guest has passed-through devices, whose state no memory holds."
        again = f"Take the devices out of the guest first, with: virsh edit {argument(facts.name)}"
    return finding("snapshot.memory", said, hint=again)


def _of_disks(facts: Facts, record: Record) -> Iterator[Finding]:
    """Nothing lies over the images that would change with them; and which disks have snapshots, but not this one."""
    targets = {part.target for part in record.disks}
    for target in (one.target for one in facts.disks if one.target not in targets and _has_any(facts, one.source)):
        said = f"{target} of guest {facts.name} has snapshots, but none called {record.name!r}: it stays as it is."
        yield finding("snapshot.part", said, Severity.WARN)
    for part in record.disks:
        yield from refusals.of_need(facts, part.image)


def _has_any(facts: Facts, path: str) -> bool:
    image = facts.images.get(path)
    return image is not None and bool(image.snapshots)


def delete(facts: Facts, doomed: tuple[Record, ...]) -> Draft:
    """The draft of deleting `doomed`: out of each image, and their copies of the NVRAM."""
    findings = tuple(refusals.of_state(facts, "delete"))
    shown = {"snapshots": [record.shown() for record in doomed], "images": []}
    if findings:
        return Draft(Steps(), findings=findings, shown=shown)
    made, lost = Steps(), []
    for record in doomed:
        lost.append(f"Snapshot {record.name!r} of guest {facts.name} will be deleted; nobody can go back to it then.")
        for part in record.disks:
            made = made.then(steps.take_out(part.target, part.image, record.name))
        for path in filter(None, (record.nvram, record.tpm)):
            made = made.then(steps.delete(facts.files[path], f"it belongs to snapshot {record.name!r}"))
    return Draft(made, (), findings, tuple(lost), shown)
