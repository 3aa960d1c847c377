"""The bytes of a file on their way into a stream: holes stay holes, and each section is looked for once."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from vfioctl.errors import StepFailed
from vfioctl.kinds.libvirt.transfer import Transfer

PIECE, SIZE = 64 << 10, 1 << 20


class Stream:
    """Takes what libvirt's stream takes, and keeps it."""

    def __init__(self) -> None:
        self.got = bytearray()
        self.holes = 0
        self.is_finished = False

    def sparseSendAll(self, read: Any, section: Any, skip: Any, opaque: None) -> None:  # noqa: N802 -- libvirt's name
        while True:
            is_data, length = section(self, opaque)
            if is_data and not length:
                return
            if is_data:
                self.got += read(self, min(PIECE, length), opaque)
            else:
                self.holes += 1
                self.got += bytes(length)
                skip(self, length, opaque)

    def finish(self) -> None:
        self.is_finished = True

    def abort(self) -> None:
        """It is given up."""


@pytest.fixture
def file(tmp_path: Path) -> Iterator[int]:
    """An image of a hole, data, and a hole."""
    with (tmp_path / "image").open("w+b") as made:
        made.truncate(SIZE)
        made.seek(SIZE // 4)
        made.write(os.urandom(SIZE // 2))
        made.flush()
        made.seek(0)
        yield made.fileno()


@pytest.mark.parametrize("judged", [False, True])
def test_all_bytes_arrive_and_are_hashed_where_that_is_asked_for(file: int, *, judged: bool) -> None:
    stream, transfer = Stream(), Transfer(file, SIZE, judged=judged)
    transfer.send(stream)
    content = os.pread(file, SIZE, 0)
    assert (bytes(stream.got), stream.is_finished, transfer.done) == (content, True, SIZE)
    assert (transfer.hash.digest() if transfer.hash else b"") == (hashlib.sha256(content).digest() if judged else b"")


def test_a_hole_is_looked_for_once_a_section_and_not_before_each_piece(
    file: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, seek = [], os.lseek

    def counted(fd: int, at: int, whence: int) -> int:
        asked.append(whence)
        return seek(fd, at, whence)

    monkeypatch.setattr(os, "lseek", counted)
    Transfer(file, SIZE).send(Stream())
    assert asked.count(os.SEEK_HOLE) == 1


@pytest.mark.parametrize("length", [SIZE // 2, SIZE - 1, SIZE + 1])
def test_a_file_of_another_length_than_planned_is_said_so(file: int, length: int) -> None:
    os.ftruncate(file, length)
    with pytest.raises(StepFailed) as caught:
        Transfer(file, SIZE).send(Stream())
    assert caught.value.code == "volume.changed"


def test_one_that_is_to_stop_sends_no_more(file: int) -> None:
    stream, transfer = Stream(), Transfer(file, SIZE)
    transfer.is_stopped = True
    with pytest.raises(StepFailed, match="asked to stop"):
        transfer.send(stream)
    assert (bytes(stream.got).strip(b"\0"), stream.is_finished) == (b"", False)
