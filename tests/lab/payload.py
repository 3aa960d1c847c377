"""What goes into the machine: a tar file of fixed size, which the machine sees as its second disk."""

from __future__ import annotations

import glob
import io
import os
import tarfile
from collections.abc import Iterable

from tests.lab.errors import LabError

CHECKOUT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SIZE = 64 << 20


def write(path: str, *, wheels: str = "", standins: str = "", files: Iterable[str] = ()) -> None:
    """The guest-side code, and what else is named; the size is that of the disk in the saved machine."""
    with tarfile.open(path, "w") as tar:
        for pattern in ("tests/lab/inside/*.py", "tests/lab/scenarios/*.py", "tests/bench/lab/*.py"):
            for file in sorted(glob.glob(os.path.join(CHECKOUT, pattern))):
                _add(tar, file, os.path.relpath(file, CHECKOUT))
        for name, directory in (("wheels", wheels), ("standins", standins)):
            for file in sorted(os.listdir(directory)) if directory else ():
                _add(tar, os.path.join(directory, file), f"{name}/{file}")
        for file in files:
            _add(tar, file, f"files/{os.path.basename(file)}")
    if os.path.getsize(path) > SIZE:
        raise LabError(f"{path} is larger than the disk of {SIZE} bytes that the machine was saved with.")
    os.truncate(path, SIZE)


def _add(tar: tarfile.TarFile, file: str, name: str) -> None:
    with open(file, "rb") as stream:
        data = stream.read()
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(data), 0o755 if os.access(file, os.X_OK) else 0o644
    tar.addfile(member, io.BytesIO(data))
