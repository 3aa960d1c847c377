"""Pools that only a real kernel can start: of a volume group, of a directory of an NFS server, of a full device."""

from __future__ import annotations

import glob
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.lab.inside import card, checks, drives, guest, managed, programs
from tests.lab.inside.checks import eventually, expect
from tests.lab.inside.lab import Lab
from tests.lab.inside.scenario import scenario

POOL, GUEST = "store", "small"
DEFINED = f"/etc/libvirt/storage/{POOL}.xml"
HOST, EXPORT, SHARE = "127.0.0.1", "/srv/export", "/srv/share"
FILE, BACK = "/root/image", "/root/back"
MIB = 1 << 20
LENGTH = 6 * MIB  # no whole number of extents
SMALL, LEFT = 64, 4 * MIB  # of a file system: its MiB, and the bytes that somebody leaves free
LARGE = 128  # MiB: libvirt is met while it copies them


@dataclass(frozen=True, slots=True)
class Place:
    """Where the volumes of the pool are: `directory`, and `kept` where they are seen without libvirt's mount."""

    made: tuple[str, ...]  # the options that ask for the pool
    directory: str
    kept: str

    def has(self, volume: str) -> bool:
        return os.path.exists(f"{self.kept}/{volume}")

    def is_begun(self, volume: str) -> bool:
        """Whether somebody fills it; a file says whose it is by then (xattr(7))."""
        path = f"{self.kept}/{volume}"
        return self.has(volume) and (self.kept.startswith("/dev/") or bool(os.listxattr(path)))

    def content(self, volume: str, length: int = LENGTH) -> bytes:
        with open(f"{self.kept}/{volume}", "rb") as file:
            return file.read(length)


@scenario(seconds=120)
def logical(lab: Lab) -> None:
    """A pool of a volume group, to which a guest's disks come and go, also killed half-way: the group stays whole."""
    (drive,) = drives.plug(lab, 1)
    with lab.check("there is a volume group, with a volume of somebody's"):
        programs.must(["pvcreate", "-q", "-y", drive.partition])
        programs.must(["vgcreate", "-q", POOL, drive.partition])
        programs.must(["lvcreate", "-q", "-y", "-L", "20M", "-n", "theirs", POOL])
        with open(f"/dev/{POOL}/theirs", "wb") as file:
            file.write(b"precious")
    before = _group()
    place = Place(("--type", "logical"), f"/dev/{POOL}", f"/dev/{POOL}")
    comes_and_goes(lab, place, lambda: int(programs.must(["vgs", *BYTES, "-o", "vg_size", POOL])))
    with lab.check("the group is as it was, and what is somebody's has its bytes"):
        expect(truth=_group() == before, otherwise=f"{before} became {_group()}")
        programs.must(["vgchange", "-q", "-ay", POOL])
        eventually(lambda: place.has("theirs"), 30, "it cannot be activated")
        expect(truth=place.content("theirs", 8) == b"precious", otherwise="its bytes are others")


BYTES = ("--noheadings", "--nosuffix", "--units", "b")


def _group() -> str:
    return programs.must(["lvs", *BYTES, "-o", "lv_name,lv_uuid,lv_size,vg_uuid,vg_free", POOL])


@scenario(seconds=120)
def netfs(lab: Lab) -> None:
    """A pool of an NFS server's directory, to which a guest's disks come and go, also killed half-way."""
    with lab.check("a server shows a directory, with a file of somebody's") as said:
        os.makedirs(EXPORT)
        with open(f"{EXPORT}/theirs", "wb") as file:
            file.write(b"precious")
        os.makedirs("/etc/exports.d", exist_ok=True)
        with open("/etc/exports.d/lab.exports", "w", encoding="ascii") as file:
            file.write(f"{EXPORT} {HOST}(rw,no_root_squash,sync,no_subtree_check)\n")
        programs.must(["systemctl", "start", "nfs-server"])
        said.append(" ".join(programs.must(["exportfs", "-v"]).split()))
    place = Place(("--path", SHARE, "--source-host", HOST, "--source-path", EXPORT), SHARE, EXPORT)
    comes_and_goes(lab, place, _mounted)
    with lab.check("the directory of the server is as it was, that of the pool is gone"):
        expect(truth=os.listdir(EXPORT) == ["theirs"], otherwise=f"{os.listdir(EXPORT)}")
        expect(truth=place.content("theirs") == b"precious", otherwise="its bytes are others")
        expect(truth=not os.path.lexists(SHARE), otherwise=f"there is {SHARE}")


def _mounted() -> int:
    """The bytes of the file system, as NFS rounds them."""
    found = os.statvfs(SHARE)
    return found.f_frsize * found.f_blocks


def comes_and_goes(lab: Lab, place: Place, room: Callable[[], int]) -> None:
    """The pool from `pool create` to `pool delete`; while it is active, it has `room` bytes in all."""
    managed.bind()
    killed(lab, ("pool", "create", POOL, *place.made), lambda: os.path.exists(DEFINED), lambda: not _is_known(place))
    with lab.check("pool create: it is active, starts with its host, and says how much room there is") as said:
        managed.run("pool", "create", POOL, *place.made)
        shown = managed.data("pool", "show", POOL)["pool"]
        expect(truth=shown["state"] == "active" and shown["autostart"] is True, otherwise=f"{shown}")
        expect(truth=shown["capacity"] == room(), otherwise=f"{room()} bytes, and shown are {shown['capacity']}")
        expect(truth=shown["capacity"] == shown["allocation"] + shown["available"], otherwise=f"{shown}")
        said.append(f"{shown['source']} at {shown['path']}: {shown['capacity']}, {shown['available']} free")
    volumes(lab, place)
    guest_has_one(lab, place)
    with lab.check("volume delete removes each"):
        for volume in ("blank", "up", "copy"):
            managed.run("volume", "delete", POOL, volume, "--yes")
        expect(truth=_volumes() == ["large", "theirs"], otherwise=f"there are {_volumes()}")
    copy = ("volume", "clone", POOL, "large", "half")
    killed(lab, copy, lambda: place.is_begun("half"), lambda: not place.has("half"))
    stopped_and_gone(lab, place)


def volumes(lab: Lab, place: Place) -> None:
    """Volumes are made, and copied in and out of it."""
    with lab.check("volume create: blank ones are there, whole"):
        managed.run("volume", "create", POOL, "blank", "--size", "10M", "--image-format", "raw")
        managed.run("volume", "create", POOL, "large", "--size", f"{LARGE}M", "--image-format", "raw")
        expect(truth=_volumes() == ["blank", "large", "theirs"], otherwise=f"there are {_volumes()}")
    content = _random(FILE, LENGTH)
    with lab.check("volume upload, clone, download: every byte is the same") as said:
        lab.time("volume upload", _timed("volume", "upload", POOL, "up", FILE))
        expect(truth=place.content("up") == content, otherwise="the volume has other bytes than the file")
        lab.time("volume clone", _timed("volume", "clone", POOL, "up", "copy"))
        expect(truth=place.content("copy") == content, otherwise="the copy has other bytes")
        lab.time("volume download", _timed("volume", "download", POOL, "copy", BACK))
        with open(BACK, "rb") as file:
            expect(truth=file.read(LENGTH) == content, otherwise="the file has other bytes")
        said.append(f"{os.path.getsize(BACK)} bytes of {LENGTH}")
    if place.kept.startswith("/dev/"):
        with lab.check("LVM gives all room at once, rounded up; another size is refused with its command") as said:
            held = programs.must(["lvs", *BYTES, "-o", "lv_size,origin", f"{POOL}/up"]).split()
            expect(truth=held == [str(8 * MIB)], otherwise=f"{held}")
            said.append(refused("lvextend", "volume", "resize", POOL, "blank", "+8M"))
            said.append(refused("qemu-img convert", "volume", "upload", POOL, "other", _qcow2()))
            said.append(refused("left", "volume", "create", POOL, "other", "--size", "9G", "--image-format", "raw"))
            expect(truth=not place.has("other"), otherwise="something was made")
    else:
        with lab.check("volume resize: it has the new size"):
            managed.run("volume", "resize", POOL, "blank", "+8M")
            expect(truth=os.path.getsize(f"{place.kept}/blank") == 18 * MIB, otherwise="it has not")


def _qcow2() -> str:
    programs.must(["qemu-img", "create", "-q", "-f", "qcow2", f"{FILE}.qcow2", "8M"])
    return f"{FILE}.qcow2"


def guest_has_one(lab: Lab, place: Place) -> None:
    """A guest is made of a volume, and gets another one while it runs; nothing is taken from under it."""
    disk = os.path.realpath(f"{place.directory}/up")
    with lab.check("guest create and start: QEMU has the volume open") as said:
        managed.run("guest", "create", GUEST, "--memory", "128M", "--volume", f"{POOL}/up")
        lab.time("guest start", _timed("guest", "start", GUEST))
        said.append(f"{disk}: {card.openers(disk)}")
        expect(truth=any(comm.startswith("qemu") for comm in card.openers(disk).values()), otherwise=said[0])
    with lab.check("guest attach: it has another one at once"):
        managed.run("guest", "attach", GUEST, "--volume", f"{POOL}/blank")
        expect(truth=managed.data("volume", "show", POOL, "blank")["volume"]["running"] == [GUEST], otherwise="not so")
    with lab.check("while it runs nothing is stopped or removed below it") as said:
        delete = (("pool", "delete", POOL, "--keep-files", "--yes"), ("volume", "delete", POOL, "blank", "--yes"))
        for words in (("pool", "stop", POOL), *delete, ("volume", "clone", POOL, "up", "other")):
            said.append(refused(GUEST, *words))
        expect(truth=managed.data("pool", "show", POOL)["pool"]["guests"] == [GUEST], otherwise="it is not shown")
    with lab.check("nor while it is off, before it is deleted") as said:
        managed.run("guest", "stop", GUEST, "--force")
        said.append(refused(GUEST, "volume", "delete", POOL, "up", "--yes"))
        said.append(refused(GUEST, "pool", "delete", POOL, "--keep-files", "--yes"))
        managed.run("guest", "delete", GUEST, "--keep-disks", "--yes")


def stopped_and_gone(lab: Lab, place: Place) -> None:
    """The pool stops and starts; with volumes it is only forgotten when they are to stay."""
    with lab.check("pool stop, start, autostart") as said:
        managed.run("pool", "stop", POOL)
        expect(truth=not os.path.exists(f"{place.directory}/large"), otherwise="its volumes are still there")
        managed.run("pool", "start", POOL)
        managed.run("pool", "autostart", POOL, "--off")
        shown = managed.data("pool", "show", POOL)["pool"]
        expect(truth=(shown["state"], shown["autostart"]) == ("active", False), otherwise=f"{shown}")
        said.append(f"{_volumes()}")
    with lab.check("pool delete is refused while it has volumes, and leaves them with --keep-files") as said:
        managed.run("volume", "delete", POOL, "large", "--yes")
        said.append(refused("theirs", "pool", "delete", POOL, "--yes"))
        managed.run("pool", "delete", POOL, "--keep-files", "--yes")
        expect(truth=not _is_known(place), otherwise="something of it is left")


def killed(lab: Lab, words: tuple[str, ...], met: Callable[[], bool], undone: Callable[[], bool]) -> None:
    """vfioctl gets SIGKILL as soon as it has come to what is `met`; recover undoes it."""
    with lab.check(f"{' '.join(words[:2])}, killed half-way: recover leaves nothing of it") as said:
        process = programs.spawn(["vfioctl", *words])
        end = time.monotonic() + 60 * checks.PATIENCE[0]
        while not met() and process.poll() is None and time.monotonic() < end:
            time.sleep(0.01)
        process.kill()
        expect(truth=process.wait() == -signal.SIGKILL, otherwise=f"it had ended with {process.returncode}")
        said.append(" ".join(managed.run("recover").split()))
        eventually(undone, 60, "what it made is still there")
        left = managed.leftovers() + glob.glob("/var/lib/vfioctl/journal/*.jsonl")
        expect(truth=not left, otherwise=f"left: {left}")


def refused(word: str, *words: str) -> str:
    """vfioctl refuses these words, and names `word`; the sentence."""
    done = programs.run(["vfioctl", *words])
    said = done.stderr + done.stdout
    expect(truth=done.returncode != 0 and word in said, otherwise=f"{' '.join(words)}: {done.returncode}: {said}")
    return " ".join(said.split())


def _is_known(place: Place) -> bool:
    """Whether libvirt knows the pool, or something is mounted."""
    known = POOL in programs.must(["virsh", "pool-list", "--all", "--name"]).split()
    return known or f" {place.directory} " in card.read("/proc/self/mounts")


def _volumes() -> list[str]:
    return [one["name"] for one in managed.data("volume", "list", POOL)["volumes"]]


def _timed(*words: str) -> float:
    done, seconds = programs.timed(["vfioctl", *words])
    expect(truth=done.returncode == 0, otherwise=done.stdout + done.stderr)
    return seconds


@scenario(seconds=60)
def full(lab: Lab) -> None:
    """A pool's file system gets full while a volume is filled or copied: one sentence, and nothing half-done stays."""
    with lab.check("there is a small file system on a loop device") as said:
        programs.must(["truncate", "-s", f"{SMALL}M", f"{FILE}.fs"])
        device = programs.must(["losetup", "--find", "--show", f"{FILE}.fs"]).strip()
        programs.must(["mkfs.ext4", "-q", device])
        said.append(device)
    managed.bind()
    content = _random(FILE, SMALL * MIB // 3)
    place = Place((), SHARE, SHARE)
    with lab.check("a pool of it: a volume fits"):
        managed.run("pool", "create", POOL, "--path", SHARE, "--device", device)
        managed.run("volume", "upload", POOL, "up", FILE)
    before = sorted(os.listdir(SHARE))
    for words in (("volume", "upload", POOL, "other", FILE), ("volume", "clone", POOL, "up", "other")):
        with lab.check(f"{' '.join(words[:2])}, while somebody fills it: its reason is said, nothing stays") as said:
            _fill(f"{SHARE}/theirs")
            said.append(refused("No space left", *words))
            os.remove(f"{SHARE}/theirs")
            expect(truth=sorted(os.listdir(SHARE)) == before, otherwise=f"{before} became {os.listdir(SHARE)}")
            expect(truth=place.content("up", len(content)) == content, otherwise="the first volume has other bytes")
            expect(truth=not managed.leftovers(), otherwise=f"left: {managed.leftovers()}")
    with lab.check("with room again it is made"):
        managed.run(*words)
        expect(truth=place.content("other", len(content)) == content, otherwise="it has other bytes")


def _fill(path: str) -> None:
    """Let a file take all but what a part of a volume needs; libvirt has looked at the room before."""
    found = os.statvfs(SHARE)
    with open(path, "wb") as file:
        os.posix_fallocate(file.fileno(), 0, found.f_bfree * found.f_frsize - LEFT)


def _random(path: str, length: int) -> bytes:
    content = guest.BOOT_SECTOR + os.urandom(length - len(guest.BOOT_SECTOR))
    with open(path, "wb") as file:
        file.write(content)
    return content
