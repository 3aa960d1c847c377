"""The bytes of a volume on their way to a file of this host, or from one. Holes stay holes; knows no step.

libvirt's stream runs in a thread that nobody can end from outside: it looks itself whether it is to stop.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import StepFailed
from vfioctl.files import write_all

if TYPE_CHECKING:
    from typing import Any

ZEROS = bytes(1 << 20)


def must_have(length: int, size: int) -> None:
    """Raise StepFailed("volume.changed") where a file of `length` bytes is not as it was planned."""
    if length != size:
        said = f"The file has {length} bytes now, not {size} as it was planned."
        raise StepFailed("volume.changed", said, hints=("Plan it once more.",))


class Transfer:
    """The file `fd`, from its begin on; `done` of `total` bytes have passed, holes among them.

    `hash` is the SHA-256 of these where they are to be `judged`: it takes longer than to send them.
    """

    def __init__(self, fd: int, total: int, *, judged: bool = False) -> None:
        self.fd = fd
        self.total = total
        self.done = 0
        self.is_stopped = False
        self._until = 0  # where the data end that are being read
        self.hash = hashlib.sha256() if judged else None

    def send(self, stream: Any) -> None:
        """Send the file, `total` bytes. Raises libvirtError, OSError, StepFailed where it is stopped or has changed."""
        self._end(stream, lambda: stream.sparseSendAll(self._read, self._section, self._skipped, None))
        must_have(os.fstat(self.fd).st_size, self.total)  # what lies behind the end looks like a hole
        must_have(self.done, self.total)

    def receive(self, stream: Any) -> None:
        """Fill the file. Raises libvirtError, OSError, StepFailed where it is stopped."""
        self._end(stream, lambda: stream.sparseRecvAll(self._written, self._hole, None))
        os.ftruncate(self.fd, self.done)

    @staticmethod
    def _end(stream: Any, work: Any) -> None:
        import libvirt

        try:
            work()
        except BaseException:
            with suppress(libvirt.libvirtError):  # it has ended by itself
                stream.abort()
            raise
        stream.finish()

    def _read(self, _stream: Any, most: int, _: Any) -> bytes:
        self._may_go_on()
        data = os.read(self.fd, min(most, self.total - self.done))
        self._count(data)
        return data

    def _section(self, _stream: Any, _: Any) -> tuple[bool, int]:
        """Whether data or a hole come next, and how much of it (lseek(2), SEEK_DATA). At the end: no bytes of data.

        libvirt-python asks before each piece, and a tmpfs walks all pages up to the hole: it is asked once a section.
        """
        if self.done >= self.total:
            return True, 0
        if self.done < self._until:
            return True, self._until - self.done
        try:
            data = os.lseek(self.fd, self.done, os.SEEK_DATA)
        except OSError:  # ENXIO: there are none until the end
            data = self.total
        is_data = data == self.done
        until = min(os.lseek(self.fd, self.done, os.SEEK_HOLE) if is_data else data, self.total)
        os.lseek(self.fd, self.done, os.SEEK_SET)
        self._until = until if is_data else 0
        return is_data, until - self.done

    def _skipped(self, _stream: Any, length: int, _: Any) -> int:
        self._pass(length)
        return os.lseek(self.fd, length, os.SEEK_CUR)

    def _written(self, _stream: Any, data: bytes, _: Any) -> int:
        self._may_go_on()
        write_all(self.fd, data)
        self._count(data)
        return len(data)

    def _hole(self, _stream: Any, length: int, _: Any) -> int:
        self._pass(length)
        return os.lseek(self.fd, length, os.SEEK_CUR)

    def _count(self, data: bytes) -> None:
        if self.hash:
            self.hash.update(data)
        self.done += len(data)

    def _pass(self, length: int) -> None:
        """A hole counts as the zeros that a reader sees."""
        self._may_go_on()
        if self.hash is None:
            self.done += length
            return
        while length:
            part = min(length, len(ZEROS))
            self._count(ZEROS[:part])
            length -= part
            self._may_go_on()

    def _may_go_on(self) -> None:
        if self.is_stopped:
            raise StepFailed("engine.interrupted", "It was asked to stop.")
