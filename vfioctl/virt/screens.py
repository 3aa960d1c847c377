"""What a running guest shows on its display, as libvirt gives it. Changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vfioctl.errors import VfioctlError
from vfioctl.frozen import frozen

if TYPE_CHECKING:
    from libvirt import virConnect

    from vfioctl.virt.connection import Connection

LARGEST = 256 << 20  # bytes: more than any screen has
CHUNK = 256 << 10


@frozen
class Picture:
    """A picture in the format `mime`: image/png from QEMU 7.1 on, image/x-portable-pixmap before."""

    data: bytes
    mime: str


def read_screen(connection: Connection, uuid: str, screen: int = 0) -> Picture:
    """The display number `screen` of the guest `uuid`. Raises VfioctlError as `Connection.ask`."""
    return connection.ask(lambda libvirt: _read(libvirt, uuid, screen), "a picture of its screen")


def _read(libvirt: virConnect, uuid: str, screen: int) -> Picture:
    stream = libvirt.newStream(0)
    mime = libvirt.lookupByUUIDString(uuid).screenshot(stream, screen, 0)
    parts: list[bytes] = []
    while part := stream.recv(CHUNK):
        parts.append(part)
        if sum(map(len, parts)) > LARGEST:
            stream.abort()
            raise VfioctlError("guest.no_picture", "libvirt gave a picture that does not end.")
    stream.finish()
    return Picture(b"".join(parts), mime)
