"""The bytes of a file on their way into a stream: holes stay holes, and each section is looked for once."""

from __future__ import annotations

import hashlib
import os
from typing import Any

import pytest
from holed_image import SIZE

from vfioctl.errors import StepFailed
from vfioctl.kinds.libvirt.transfer import Transfer

PIECE = 64 << 10


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


@pytest.mark.parametrize("judged", [False, True])
def test_all_bytes_arrive_and_are_hashed_where_that_is_asked_for(image: int, *, judged: bool) -> None:
    stream, transfer = Stream(), Transfer(image, SIZE, judged=judged)
    transfer.send(stream)
    content = os.pread(image, SIZE, 0)
    assert (bytes(stream.got), stream.is_finished, transfer.done) == (content, True, SIZE)
    assert (transfer.hash.digest() if transfer.hash else b"") == (hashlib.sha256(content).digest() if judged else b"")


def test_a_hole_is_looked_for_once_a_section_and_not_before_each_piece(
    image: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, seek = [], os.lseek

    def counted(fd: int, at: int, whence: int) -> int:
        asked.append(whence)
        return seek(fd, at, whence)

    monkeypatch.setattr(os, "lseek", counted)
    Transfer(image, SIZE).send(Stream())
    assert asked.count(os.SEEK_HOLE) == 1


@pytest.mark.parametrize("length", [SIZE // 2, SIZE - 1, SIZE + 1])
def test_a_file_of_another_length_than_planned_is_said_so(image: int, length: int) -> None:
    os.ftruncate(image, length)
    with pytest.raises(StepFailed) as caught:
        Transfer(image, SIZE).send(Stream())
    assert caught.value.code == "volume.changed"


def test_one_that_is_to_stop_sends_no_more(image: int) -> None:
    stream, transfer = Stream(), Transfer(image, SIZE)
    transfer.is_stopped = True
    with pytest.raises(StepFailed, match="asked to stop"):
        transfer.send(stream)
    assert (bytes(stream.got).strip(b"\0"), stream.is_finished) == (b"", False)
