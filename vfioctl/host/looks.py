"""Whether files are there, asked by one child with a deadline: a dead NFS server must not hold a start. Reads only."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

from vfioctl.frozen import frozen
from vfioctl.host.readers import device_place
from vfioctl.paths import Paths
from vfioctl.proc import in_child

DEADLINE = 10.0  # for all of them; a disk at rest takes so long to spin up
PIPE_SIZE = 65536  # what the child may say before anybody reads
MISSING = (FileNotFoundError, NotADirectoryError)
THERE, ABSENT, UNKNOWN, TOO_LONG, UNSTATED = "there", "absent", "unknown", "too_long", "unstated"


def _never(_path: str) -> bool:
    return False


@frozen
class Question:
    """A path, and the format of the image there whose chain is followed; "" for none."""

    path: str
    form: str = ""


@frozen
class Answer:
    """`state` is there, absent, too_long (its chain), unstated or unknown; `hung`: this path gave no answer.

    What is absent is `path`: the file that was asked for, or one below `above`. Of `path` the image `above` does not
    state the format, which it must. `node`: what is there stands for this device, by its place in /sys/dev.
    """

    path: str
    state: str
    above: str = ""
    hung: bool = False
    node: str = ""


def look(
    paths: Paths, questions: Sequence[Question], deadline: float = DEADLINE, silent: Callable[[str], bool] = _never
) -> tuple[Answer, ...]:
    """An answer to each of `questions`, in order. With nothing to ask no child is forked.

    What lies in a directory that was `silent` before is not asked again.
    """
    if not questions:
        return ()
    known = {question: Answer(question.path, UNKNOWN, hung=True) for question in questions if silent(question.path)}
    if known:
        fresh = [question for question in questions if question not in known]
        answers = iter(look(paths, fresh, deadline))
        return tuple(known.get(question) or next(answers) for question in questions)
    reading, writing = os.pipe2(os.O_CLOEXEC)
    try:
        report = in_child(lambda: _answer_all(paths, questions, writing), deadline=deadline, keep_fds=(writing,))
        os.set_blocking(reading, False)
        said = _read(reading)
    finally:
        os.close(reading)
        os.close(writing)
    return tuple(_answers(questions, said.split(b"\n")[:-1], hung=report.stuck))


def _answer_all(paths: Paths, questions: Iterable[Question], writing: int) -> bytes:
    """One line a question, each as soon as it is known: what comes after a path that hangs stays unanswered."""
    for question in questions:
        os.write(writing, "\0".join(_answer(paths, question)).encode(errors="surrogateescape") + b"\n")
    return b""


def _answer(paths: Paths, question: Question) -> tuple[str, ...]:
    path = paths.at(question.path)
    try:
        status = os.stat(path)
        if stat.S_ISREG(status.st_mode):
            _open(path)
    except MISSING:
        return (ABSENT, question.path)
    except (OSError, ValueError):
        return (UNKNOWN,)
    node = device_place(status)
    there = (THERE, "", "", node) if node else (THERE,)
    if not question.form:
        return there
    from vfioctl.host.images import follow  # in the child: only images have a chain

    try:
        chain = follow(paths, question.path, question.form)
    except OSError:
        return there  # a header that only root can read
    if chain.too_long:
        return (TOO_LONG,)
    if chain.unstated:
        return (UNSTATED, chain.unstated, chain.above)
    return (ABSENT, chain.missing, chain.above) if chain.missing else there


def _open(path: str) -> None:
    """NFS answers a look out of what it remembers, and asks its server when a file is opened (nfs(5), ac and cto)."""
    with suppress(PermissionError):
        os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC))


def _read(fd: int) -> bytes:
    try:
        return os.read(fd, PIPE_SIZE)
    except BlockingIOError:
        return b""


def _answers(questions: Sequence[Question], lines: Sequence[bytes], *, hung: bool) -> Iterable[Answer]:
    for index, question in enumerate(questions):
        if index >= len(lines):
            yield Answer(question.path, UNKNOWN, hung=hung and index == len(lines))
            continue
        state, path, above, node = (*lines[index].decode(errors="surrogateescape").split("\0"), "", "", "")[:4]
        yield Answer(path or question.path, state, above, node=node)
