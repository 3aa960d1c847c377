"""How long the verbs about guests and volumes take, as a user runs them; on the host of `snapshot_verbs`."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import snapshot_verbs
from measure import Child, Cost
from snapshot_verbs import child, step_seconds, verbs

from vfioctl.testing.entry import UNCOUNTED

GUESTS = 1000
POOL, TEMPLATE = "bench", "small"
PLACE, COPY = f"{verbs.IMAGES}/{POOL}", "copy"
SMALL, LARGE = "64M", "2G"
FILLED = {SMALL: "48M", LARGE: "1G"}  # the rest is a hole
REPORTED = 2.5  # seconds
TOUCH = "import mmap; mmap.mmap(-1, 2 << 30, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_POPULATE)"
# Runs what follows, and writes the peak memory of the largest process of it, in KiB, to standard output.
PEAK = """
import os, sys
gone = [(os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0)]
pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=gone)
_, status, used = os.wait4(pid, 0)
assert status == 0
print(used.ru_maxrss)
"""


@contextmanager
def lab() -> Iterator[Any]:
    """The host of `snapshot_verbs`, on which no boundary of a journal is counted."""
    with snapshot_verbs.lab() as host:
        host.must("touch", f"/{UNCOUNTED}")
        yield host


def listing(host: Any) -> dict[str, Child]:
    """`guest list` of GUESTS guests with a disk each, and `virsh list --all`."""
    for number in range(GUESTS):
        Path(host.place, f"guest{number}.xml").write_text(document(f"guest{number}"), encoding="utf-8")
    host.must("sh", "-c", f"for file in {host.place}/guest*.xml; do echo define $file; done | virsh -q")
    found = len(json.loads(host.must(*vfioctl("guest", "list", "--format", "json")))["data"]["guests"])
    if found != GUESTS:
        raise RuntimeError(f"{found} guests were listed, not {GUESTS}")
    return {
        "list": child(host.must, *vfioctl("guest", "list")), "virsh": child(host.must, "virsh", "list", "--all"),
    }  # fmt: skip


def document(name: str) -> str:
    """A guest that is off, with a disk that nobody looks at."""
    disk = verbs.DISK.format(form="qcow2", path=f"/srv/{name}.qcow2", target="vda")
    return str(verbs.DOMAIN.format(name=name, uuid=uuid.uuid4(), firmware="", devices=disk))


def vfioctl(*argv: str) -> tuple[str, ...]:
    """The command line of `vfioctl ARGV` in the tree."""
    return (sys.executable, "-m", verbs.ENTRY, "--root", "/", *argv)


def pool(host: Any) -> None:
    """The pool of all that follows, with an image of each size and a template of the small one."""
    host.must(*vfioctl("pool", "create", POOL, "--path", PLACE))
    for size, filled in FILLED.items():
        raw, image = f"{verbs.IMAGES}/{size}.raw", f"{PLACE}/{size}.qcow2"
        host.must("sh", "-c", f"head -c {filled} /dev/urandom > {raw}; truncate -s {size} {raw}")
        host.must("qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, image)
    host.must(*vfioctl("pool", "refresh", POOL))
    blank = f"{verbs.IMAGES}/blank.qcow2"
    host.must("qemu-img", "create", "-q", "-f", "qcow2", blank, "8M")
    host.must(*vfioctl("template", "add", TEMPLATE, "--pool", POOL, "--file", blank))


def creating(host: Any) -> dict[str, Child]:
    """`guest create` of a linked clone, and the two programs that somebody without it would call."""
    names = (f"made{number}" for number in count())
    base = host.must("sh", "-c", f"ls {PLACE}/_templates_/*.qcow2").strip()
    xml = Path(host.place, "plain.xml")

    def image() -> Cost:
        path = f"{verbs.IMAGES}/{next(names)}.qcow2"
        return child(host.must, "qemu-img", "create", "-q", "-f", "qcow2", "-b", base, "-F", "qcow2", path)()

    def define() -> Cost:
        xml.write_text(document(next(names)), encoding="utf-8")
        return child(host.must, "virsh", "define", str(xml))()

    def create() -> Cost:
        made = ("--memory", "64M", "--template", TEMPLATE, "--pool", POOL)
        return child(host.must, *vfioctl("guest", "create", next(names), *made))()

    return {"create": create, "image": image, "define": define}


def copying(host: Any) -> dict[str, Callable[[], float]]:
    """Seconds of the steps that copy a large image inside its pool and bring it in, and of what others do that with."""
    raw, alone = f"{verbs.IMAGES}/{LARGE}.raw", f"{verbs.IMAGES}/alone"

    def step(kind: str, argv: tuple[str, ...]) -> float:
        host.must(*argv)
        removed(host)
        return step_seconds(host, kind)

    def convert() -> float:
        argv = ("qemu-img", "convert", "-f", "qcow2", "-O", "qcow2", f"{PLACE}/{LARGE}.qcow2", alone)
        cost = child(host.must, *argv)()
        host.must("rm", alone)
        return cost.wall

    def brought() -> float:
        host.must("virsh", "vol-create-as", POOL, COPY, LARGE, "--format", "raw")
        cost = child(host.must, "virsh", "vol-upload", "--sparse", COPY, raw, "--pool", POOL)()
        removed(host)
        return cost.wall

    image = f"{PLACE}/{LARGE}.qcow2"
    return {
        "clone": warmed(host, image, lambda: step("volume.clone", clone(LARGE))),
        "convert": warmed(host, image, convert),
        "upload": warmed(host, raw, lambda: step("volume.upload", upload(LARGE))),
        "virsh": warmed(host, raw, brought),
    }


def warmed(host: Any, source: str, timed: Callable[[], float]) -> Callable[[], float]:
    """`timed`, with the memory of a virtual machine at hand, for which it would wait for its own host.

    Linux gives free memory back two seconds after it was freed (mm/page_reporting.c), and gets it anew at the first
    touch. So what was freed before has to be gone, and then this machine touches as much as the copy takes.
    """

    def run() -> float:
        time.sleep(REPORTED)
        host.must("sh", "-c", f"cat {source} > /dev/null")
        subprocess.run((sys.executable, "-I", "-c", TOUCH), check=True)
        return timed()

    return run


def clone(size: str) -> tuple[str, ...]:
    """The command line that copies the image of `size` inside its pool."""
    return vfioctl("volume", "clone", POOL, f"{size}.qcow2", COPY)


def upload(size: str) -> tuple[str, ...]:
    """The command line that brings in the same image, raw."""
    return vfioctl("volume", "upload", POOL, COPY, f"{verbs.IMAGES}/{size}.raw")


def removed(host: Any) -> None:
    """The copy goes again."""
    host.must("rm", f"{PLACE}/{COPY}")
    host.must(*vfioctl("pool", "refresh", POOL))


def peaks(host: Any, size: str) -> list[float]:
    """MiB of the largest process that a copy of the image of `size` needs in the tree, in the pool and into it."""
    return [_peak(host, argv) for argv in (clone(size), upload(size))]


def _peak(host: Any, argv: tuple[str, ...]) -> float:
    said = host.must(sys.executable, "-I", "-c", PEAK, *argv)
    removed(host)
    return int(said) / 1024
