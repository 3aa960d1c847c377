"""The two saved machines: `base`, booted and settled, and `installed`, with vfioctl and its guest; both made once."""

from __future__ import annotations

import functools
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass

from tests.lab import cache, commands, image, payload
from tests.lab.errors import Hung, LabError
from tests.lab.machine import Machine
from tests.lab.session import Event, Order, Session

HERE = os.path.dirname(os.path.abspath(__file__))
SETTLING = ("machine.py", "state.py", "inside/settle.py", "inside/lab.py")
INSTALLING = ("inside/install.py", "inside/guest.py", "inside/programs.py")
GIB_NEEDED = 1.0
SAVE = 120.0
DEADLINE = 600.0  # an emulated machine installs for 110 s on a quiet computer and for 220 s on a slow one


@dataclass(frozen=True, slots=True)
class Place:
    """What every run of the lab has in hand."""

    cache: cache.Cache
    suite: str  # of Debian
    wheels: str  # directory with the wheels of vfioctl, its plugins and what they need
    patience: float
    keep: str
    listen: Callable[[Event], None]

    @property
    def pidfile(self) -> str:
        return self.cache.path("qemu.pid")

    def image(self) -> str:
        """The directory of the disk image."""
        return image.cached(self.cache, self.suite, self.patience)


def overlay(disk: str, backing: str) -> None:
    create = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", os.path.abspath(backing), disk]
    commands.run(create, f"{disk}.log", 60)
    os.unlink(f"{disk}.log")


@functools.cache
def base(place: Place) -> str:
    """The directory with disk.qcow2 and state.zst of the settled machine."""
    lab_image = place.image()
    qemu = commands.output_of(["qemu-system-x86_64", "--version"])
    name = f"base-{cache.key(os.path.basename(lab_image), qemu, *_files(SETTLING))}"
    machine = Machine(lab_image, disk=f"{lab_image}/disk.qcow2", payload="", sockets="")
    make = lambda part: _make(place, part, machine, "settle", "")  # noqa: E731
    return place.cache.made(name, make, needs_gib=GIB_NEEDED, within=lab_image)


@functools.cache
def installed(place: Place) -> str:
    """The same, of the machine with vfioctl."""
    below = base(place)
    name = f"installed-{cache.key(os.path.basename(below), *_files(INSTALLING), *cache.contents(place.wheels))}"
    machine = Machine(place.image(), f"{below}/disk.qcow2", "", "", state=f"{below}/state.zst")
    make = lambda part: _make(place, part, machine, "install", place.wheels)  # noqa: E731
    return place.cache.made(name, make, needs_gib=GIB_NEEDED, within=below)


def _files(names: tuple[str, ...]) -> list[bytes]:
    return list(cache.contents(*(os.path.join(HERE, name) for name in names)))


def _make(place: Place, part: str, below: Machine, body: str, wheels: str) -> None:
    """Run a module of inside/ on an overlay of the machine below, then save disk and memory together.

    An emulator that hangs says nothing of vfioctl, so it gets a second try. What the first one left is kept.
    """
    try:
        _made(place, part, below, body, wheels)
    except Hung as hung:
        keep = os.path.join(place.keep, body)
        shutil.rmtree(f"{keep}-hung", ignore_errors=True)
        os.rename(keep, f"{keep}-hung")
        first, _, _ = str(hung).partition("\n")
        place.listen({"event": "note", "text": f"{first} A second try; what the first one left: {keep}-hung"})
        _made(place, part, below, body, wheels)


def _made(place: Place, part: str, below: Machine, body: str, wheels: str) -> None:
    disk, tar = os.path.join(part, "disk.qcow2"), os.path.join(part, "payload.tar")
    overlay(disk, below.disk)
    payload.write(tar, wheels=wheels)
    machine = Machine(below.image, disk, tar, "", state=below.state)
    order = Order(f"tests.lab.inside.{body}", "run", DEADLINE * place.patience, place.patience, {})
    with Session(machine, os.path.join(place.keep, body), place.pidfile, place.listen) as session:
        last = session.run(order)
        if last["verdict"] != "passed":
            raise LabError(f"The machine could not be made: {last['why']}")
        assert session.qmp
        session.wait_done(place.patience)
        session.qmp.save(os.path.join(part, "state.zst"), SAVE * place.patience)
        session.qmp.quit()
    os.unlink(tar)
