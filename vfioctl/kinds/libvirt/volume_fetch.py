"""volume.fetch: fills a volume that the same plan makes with what an address of HTTP gives, whole and checked.

What comes lies on this host until libvirt has it. Where it is broken off it is kept for a while: see files/kept.py.
"""

from __future__ import annotations

import os
import re
import struct

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import StepFailed, Unanswered, VfioctlError
from vfioctl.kinds.files.file_fetch import SHA256, URL
from vfioctl.kinds.files.kept import DAYS, Kept
from vfioctl.kinds.libvirt.change import URI
from vfioctl.kinds.libvirt.volume_upload import VolumeUpload
from vfioctl.kinds.libvirt.volume_xml import FORMATS
from vfioctl.kinds.libvirt.volumes import VOLUME
from vfioctl.sizes import as_size
from vfioctl.txn.engine import Interrupted
from vfioctl.txn.shape import COUNT, FLAG, UUID, Form, Shape, one_of, optional
from vfioctl.txn.step import Undo

if TYPE_CHECKING:
    from vfioctl.kinds.files.aside import Filler
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Json, Step

SHA512 = Form(
    "a sha512 in hex digits", lambda value: isinstance(value, str) and re.fullmatch("[0-9a-f]{128}", value) is not None
)
SUMS = ("sha256", "sha512")
PASSING = ("fetch.cut_off", "fetch.stalled", "fetch.unreachable", "step.deadline", "step.stalled")  # may go on later
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

    def apply(self, step: Step, machine: Machine) -> str | None:
        kept = Kept(machine.paths, step.params["url"])
        try:
            note = super().apply(step, machine)
        except Interrupted:
            kept.drop()  # who cancels it does not want it
            raise
        kept.drop()
        return note

    def opened(self, step: Step, machine: Machine) -> int:
        kept = Kept(machine.paths, step.params["url"])
        try:
            return _filled(step, machine, kept)
        except Unanswered:
            raise  # the drive of all that we keep is gone
        except VfioctlError as error:
            if error.code not in PASSING:
                kept.drop()
            elif size := kept.size:
                error.hints = (*error.hints, f"{as_size(size)} of it are kept for {DAYS} days: do the same once more.")
            raise
        except OSError as error:
            kept.drop()
            said = f"What comes could not be written to {kept.path}: {error.strerror}."
            raise StepFailed("file.write_failed", said) from error


def _filled(step: Step, machine: Machine, kept: Kept) -> int:
    """A descriptor of what has come, at its begin."""
    from vfioctl.kinds.files.aside import aside  # costs 60 ms, and a look at the step does without it

    fd = kept.open()
    try:
        aside(machine, step.params["url"], kept.path, lambda filler: _fill(fd, step, filler), (fd,))
        os.lseek(fd, 0, os.SEEK_SET)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _fill(fd: int, step: Step, filler: Filler) -> None:
    params = step.params
    wanted = {name: params[name] for name in SUMS if name in params}
    filler.fill(fd, params["name"], limit=params["size"], wanted=wanted)
    if why := _other(fd, params):
        raise StepFailed("fetch.content", f"What came for {params['name']} is not what was announced: {why}.")


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
