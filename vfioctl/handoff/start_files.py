"""The files that a start opens: firmware, ROMs, disks with what is below them, input devices. Reads only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from vfioctl.events.model import RequiredFile
from vfioctl.handoff.start_model import Start
from vfioctl.host import behind
from vfioctl.host.looks import ABSENT, DEADLINE, TOO_LONG, UNSTATED, Answer, Question
from vfioctl.host.looks import look as look_at
from vfioctl.plugin.types import Finding
from vfioctl.txn.kind import kind

# role → code, what the file is, how the domain asks for it
WORDS = {
    "rom": ("start.rom_missing", "the ROM of a {owner}", "<rom file=…/>"),
    "nvram_template": ("start.nvram_template_missing", "the template of the guest's NVRAM", "<nvram template=…>"),
    "loader": ("start.loader_missing", "the guest's firmware", "<loader>"),
    "kernel": ("start.kernel_missing", "the {owner} that the guest boots", "<{owner}>"),
    "disk": ("start.disk_missing", "the source of disk {owner}", "the disk"),
    "backing": ("start.disk_missing", "the backing file of disk {owner}", "the disk"),
    "evdev": ("start.evdev_missing", "an input device of the guest", "the input"),
    "file": ("start.file_missing", "what a {owner} of the guest uses", "the {owner}"),
}  # fmt: skip


def look(start: Start) -> Iterator[Finding]:
    """What is missing, in the order in which the domain names it."""
    files = tuple(_needed(start))
    nvram = "" if start.request.incoming else start.request.domain.nvram
    conditions = tuple(dict.fromkeys(filter(None, (nvram, *(file.unless for file in files)))))
    questions = (*(Question(path) for path in conditions), *(Question(file.path, _followed(file)) for file in files))
    reach = start.request.host.reach
    answers = look_at(start.paths, questions, DEADLINE, lambda path: reach.is_silent(start.paths.at(path)))
    missing = {answer.path for answer in answers[: len(conditions)] if answer.state == ABSENT}
    for file, answer in zip(files, answers[len(conditions) :], strict=True):
        if not file.unless or file.unless in missing:
            yield from _judge(start, file, answer)
    for answer in answers:
        if answer.hung:
            reach.silence(start.paths.at(answer.path))
            yield _hung(answer)


def _needed(start: Start) -> Iterable[RequiredFile]:
    evdev = (RequiredFile("evdev", path) for path in start.request.domain.evdev_inputs)
    copies = {path for step in start.steps for path in kind(step.kind).makes(step.params)}
    return (file for file in (*start.needs.files, *evdev) if file.path not in copies)


def _followed(file: RequiredFile) -> str:
    """The format of the image whose chain libvirt looks up itself."""
    return "" if file.ends or file.form == "raw" else file.form


def _judge(start: Start, file: RequiredFile, answer: Answer) -> Iterator[Finding]:
    code, what, element = (text.format(owner=file.owner) for text in WORDS[file.role])
    if answer.above or answer.state == TOO_LONG:
        yield _chain(file, answer)
    elif answer.state == ABSENT:
        yield Finding(
            code, f"{file.path}, {what}, is not there, and the guest cannot start without it.",
            hint=start.edit(f"Put it there, or change {element}"),
        )  # fmt: skip
    elif answer.node and (address := behind.of_node(start.paths, answer.node, start.taken)):
        yield start.given_twice(f"{file.path}, {what},", address)


def _chain(file: RequiredFile, answer: Answer) -> Finding:
    """What is wrong below the image of a disk."""
    if answer.state == TOO_LONG:
        from vfioctl.host.images import LONGEST

        return Finding(
            "start.chain_too_long",
            f"The backing chain of {file.path} (disk {file.owner}) has more than {LONGEST} files, or comes back to "
            "itself, and libvirt follows no such chain.",
            hint=f"Shorten it while the guest is off, with: qemu-img rebase -b BASE {file.path}",
        )
    if answer.state == UNSTATED:
        return Finding(
            "start.backing_format",
            f"{answer.above}, which disk {file.owner} needs, does not state the format of {answer.path}, which is "
            "based on another image, and libvirt does not guess it.",
            hint=f"State it while the guest is off, with: qemu-img rebase -u -F FORMAT -b {answer.path} {answer.above}",
        )
    return Finding(
        "start.disk_missing",
        f"{answer.path} is not there; {answer.above}, which disk {file.owner} needs, is based on it.",
        hint=f"Bring it back, or see what the chain names with: qemu-img info --backing-chain {file.path}",
    )


def _hung(answer: Answer) -> Finding:
    return Finding(
        "start.unanswered",
        f"{answer.path}, which the start needs, does not answer: what it is on hangs, as a share does whose server is "
        "gone.",
        hint="See what it is on with: findmnt",
    )
