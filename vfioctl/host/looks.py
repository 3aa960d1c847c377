"""Whether files are there, asked by one child with a deadline: a dead NFS server must not hold a start. Reads only."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from vfioctl.frozen import frozen
from vfioctl.paths import Paths
from vfioctl.proc import in_child

DEADLINE = 3.0  # for all of them; a disk at rest may take longer, and then nothing is said
PIPE_SIZE = 65536  # what the child may say before anybody reads
MISSING = (FileNotFoundError, NotADirectoryError)
THERE, ABSENT, UNKNOWN, TOO_LONG, UNSTATED = "there", "absent", "unknown", "too_long", "unstated"


@frozen
class Question:
    """A path, and the format of the image there whose chain is followed; "" for none."""

    path: str
    form: str = ""


@frozen
class Answer:
    """`state` is there, absent, too_long (its chain), unstated or unknown; `hung`: this path gave no answer.

    What is absent is `path`: the file that was asked for, or one below `above`. Of `path` the image `above` does not
    state the format, which it must.
    """

    path: str
    state: str
    above: str = ""
    hung: bool = False


def look(paths: Paths, questions: Sequence[Question], deadline: float = DEADLINE) -> tuple[Answer, ...]:
    """An answer to each of `questions`, in order. With nothing to ask no child is forked."""
    if not questions:
        return ()
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
    try:
        os.stat(paths.at(question.path))
    except MISSING:
        return (ABSENT, question.path)
    except (OSError, ValueError):
        return (UNKNOWN,)
    if not question.form:
        return (THERE,)
    from vfioctl.host.images import follow  # in the child: only images have a chain

    try:
        chain = follow(paths, question.path, question.form)
    except OSError:
        return (THERE,)  # a header that only root can read
    if chain.too_long:
        return (TOO_LONG,)
    if chain.unstated:
        return (UNSTATED, chain.unstated, chain.above)
    return (ABSENT, chain.missing, chain.above) if chain.missing else (THERE,)


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
        state, *paths = lines[index].decode(errors="surrogateescape").split("\0")
        yield Answer(paths[0] if paths else question.path, state, paths[1] if len(paths) > 1 else "")
