"""volume.fetch: fills a volume that the same plan makes with what an address of HTTP gives, whole and checked.

What comes lies in a file without a name until it goes on to libvirt: of a process that is killed nothing is left.
"""

from __future__ import annotations

import hashlib
import os
import re
import struct
import tempfile

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import StepFailed
from vfioctl.kinds.files.file_fetch import SHA256, URL
from vfioctl.kinds.libvirt.change import URI
from vfioctl.kinds.libvirt.volume_upload import VolumeUpload
from vfioctl.kinds.libvirt.volume_xml import FORMATS
from vfioctl.kinds.libvirt.volumes import VOLUME
from vfioctl.txn.shape import COUNT, FLAG, UUID, Form, Shape, one_of, optional
from vfioctl.txn.step import Undo

if TYPE_CHECKING:
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Json, Step

SHA512 = Form(
    "a sha512 in hex digits", lambda value: isinstance(value, str) and re.fullmatch("[0-9a-f]{128}", value) is not None
)
CHUNK = 1 << 20
ROOM = "var/tmp"  # large files that are not needed after their process (hier(7))
CORRUPT, DATA_FILE = 2, 4  # incompatible features (docs/interop/qcow2.txt of QEMU)


class VolumeFetch(VolumeUpload):
    """{uri, pool, name, url, format, capacity, size, sha256?, sha512?, marked}: pool: its UUID; size: the bytes of what
    comes; format, capacity: what it must be, in bytes that a guest sees; sha256, sha512: what it must have, one of them
    needed unless the url is https; marked: as the volume.create before it has it"""

    name = "volume.fetch"
    summary = "Fills a volume that the same plan makes with a download; it goes with the volume on failure."
    undo_class = Undo.EXACT
    takes = Shape(
        uri=URI, pool=UUID, name=VOLUME, url=URL, format=one_of(*FORMATS), capacity=COUNT, size=COUNT,
        sha256=optional(SHA256), sha512=optional(SHA512), marked=FLAG,
    )  # fmt: skip

    def unfit(self, params: Json) -> str:
        if found := super().unfit(params):
            return found
        proven = params["url"].startswith("https:") or "sha256" in params or "sha512" in params
        return "" if proven else "sha256 is missing, as url is http"

    def opened(self, step: Step, machine: Machine) -> int:
        room = machine.paths.at(ROOM)
        try:
            with tempfile.TemporaryFile(dir=room) as file:
                _fill(file.fileno(), step, machine)
                return os.dup(file.fileno())
        except OSError as error:
            said = f"What comes could not be written into {room}: {error.strerror}."
            raise StepFailed("file.write_failed", said) from error


def _fill(fd: int, step: Step, machine: Machine) -> None:
    from vfioctl.kinds.files.download import download  # costs 60 ms, and a look at the step does without it

    params = step.params
    found = download(params["url"], fd, machine, limit=params["size"])
    _must_be("sha256", params, found)
    if "sha512" in params:
        _must_be("sha512", params, _sha512(fd))
    if why := _other(fd, params):
        raise StepFailed("fetch.content", f"What came for {params['name']} is not what was announced: {why}.")
    os.lseek(fd, 0, os.SEEK_SET)


def _must_be(name: str, params: Json, found: str) -> None:
    if params.get(name, found) != found:
        said = f"What came for {params['name']} has the {name} {found}, not {params[name]}."
        raise StepFailed("fetch.checksum", said, hints=("Look whether the file or its checksum was renewed.",))


def _sha512(fd: int) -> str:
    found = hashlib.sha512()
    os.lseek(fd, 0, os.SEEK_SET)
    while chunk := os.read(fd, CHUNK):
        found.update(chunk)
    return found.hexdigest()


def _other(fd: int, params: Json) -> str:
    """Why it is not the image that was planned, "" for nothing: a header can name any file of the host."""
    from vfioctl.host.images import qcow2_header

    length = os.fstat(fd).st_size
    if length != params["size"]:
        return f"it has {length} bytes, not {params['size']}"
    try:
        header = qcow2_header(fd)
    except struct.error:
        return "its header is cut off"
    if ("qcow2" if header else "raw") != params["format"]:
        return f"it is not {params['format']}"
    if header and (header.backing or header.is_encrypted or header.features & (CORRUPT | DATA_FILE)):
        return "it is not whole by itself"
    return "" if not header or header.size == params["capacity"] else f"a guest sees {header.size} bytes in it"


KIND = VolumeFetch()
