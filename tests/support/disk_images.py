"""Real disk images for tests: made by qemu-img, filled and read by qemu-io, byte by byte."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

MISSING = tuple(name for name in ("qemu-img", "qemu-io") if shutil.which(name) is None)
SIZE = 8 << 20
SECTION = 1 << 20


def create(path: str | Path, *, form: str = "qcow2", backing: str | Path = "", below: str = "qcow2") -> str:
    """An empty image of 8 MiB, above `backing` of the format `below`; its path."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    argv = ["qemu-img", "create", "-q", "-f", form, *(["-F", below, "-b", str(backing)] if backing else []), str(path)]
    subprocess.run([*argv, *([] if backing else [str(SIZE)])], check=True)
    return str(path)


def fill(path: str | Path, pattern: int, section: int, *, form: str = "qcow2") -> None:
    """Write `pattern` over one MiB, the `section`-th."""
    argv = ["qemu-io", "-f", form, "-c", f"write -P {pattern} {section * SECTION} {SECTION}", str(path)]
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)


def content(path: str | Path, *, form: str = "qcow2") -> str:
    """The checksum of what a guest sees."""
    raw = f"{path}.seen"
    subprocess.run(["qemu-img", "convert", "-U", "-f", form, "-O", "raw", str(path), raw], check=True)
    try:
        with open(raw, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    finally:
        os.unlink(raw)


def opened(path: str | Path, *, form: str = "qcow2", readonly: bool = False) -> subprocess.Popen[str]:
    """A process that has the image open until its stdin ends, as a running guest has."""
    argv = ["qemu-io", *(["-r"] if readonly else []), "-f", form, str(path)]
    user = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert user.stdin is not None
    assert user.stdout is not None
    user.stdin.write("length\n")
    user.stdin.flush()
    while "MiB" not in (line := user.stdout.readline()):
        assert line, "qemu-io cannot open it"
    return user
