"""The simulated machines that hand-offs are timed on: hooks that are called again and again, from the same state."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

from measure import Cost, run

from vfioctl.testing import scenarios
from vfioctl.testing.domains import domain
from vfioctl.testing.entry import UNCOUNTED
from vfioctl.testing.host import FakeHost
from vfioctl.testing.libvirt import FakeLibvirt
from vfioctl.testing.model import MachineSpec
from vfioctl.txn import history
from vfioctl.txn.journal import open_uuids
from vfioctl.wait import until

GUEST = "win11"
RETURN_SECONDS = 10.0
TMPFS = "/dev/shm"
REPLAY = os.path.join(os.path.dirname(os.path.abspath(__file__)), "replay.py")


def two_functions(*, systemd: bool = False) -> MachineSpec:
    """A card and its sound function that nobody holds."""
    machine = scenarios.bochs_lab()
    return replace(machine, systemd=systemd, processes=(), sessions=(), units=(), framebuffer_console=False)


def rack(cards: int) -> MachineSpec:
    """`cards` cards of two functions, which no driver has to be unloaded for."""
    machine = scenarios.rack(cards)
    free = tuple(
        replace(device, driver=None, drivers=()) if device.address.startswith("0000:1") else device
        for device in machine.devices
    )
    return replace(machine, systemd=False, devices=free)


@dataclass(frozen=True, slots=True)
class Rig:
    """A machine with the hook installed and one managed guest, whose domain is in the file `xml`."""

    fake: FakeHost
    shim: str
    xml: str

    def argv(self, operation: str) -> tuple[str, ...]:
        """The shim as libvirtd calls it."""
        return (self.shim, GUEST, operation, "begin", "-")

    def prepare(self, settings: str = "") -> Cost:
        """One acting prepare, with `settings` in the guest file; the devices are taken back unmeasured."""
        with open(self.fake.paths.guest_config(GUEST), "w", encoding="utf-8") as file:
            file.write(settings)
        return self._acting(self.argv("prepare"))

    def direct(self) -> Cost:
        """The same without the shim."""
        return self._acting((*self.fake.argv, "hook", GUEST, "prepare", "begin", "-"))

    def replayed(self) -> Cost:
        """The same with every program replaced by `true`; the first call records, and takes longer."""
        entry = (sys.executable, "-I", REPLAY, self.answers, "--root", self.fake.root)
        return self._acting((*entry, "hook", GUEST, "prepare", "begin", "-"))

    def recorded(self) -> tuple[float, float]:
        """Seconds of one prepare and of the whole return after it, by the record of each."""
        run(self.argv("prepare"), self.xml)
        run(self.argv("release"), self.xml)
        until(lambda: not open_uuids(self.fake.paths), RETURN_SECONDS)
        back, given = history.read_all(self.fake.paths).runs[:2]
        return given.duration, back.duration

    @property
    def answers(self) -> str:
        return os.path.join(self.fake.root, ".kit", "answers")

    def _acting(self, argv: tuple[str, ...]) -> Cost:
        cost = run(argv, self.xml)
        subprocess.run([*self.fake.argv, "recover", "--abort", GUEST], stdout=subprocess.DEVNULL, check=True)
        return cost


@contextmanager
def rig(machine: MachineSpec, *addresses: str) -> Iterator[Rig]:
    """`machine`, for as long as the block lasts, and a guest that gets `addresses`.

    Its /run is a tmpfs, as on every host; the rest lies on a disk, as what is synced does there.
    """
    with ExitStack() as stack:
        root, memory = (
            stack.enter_context(tempfile.TemporaryDirectory(prefix="vfioctl-bench-", dir=place))
            for place in (None, TMPFS)
        )
        os.symlink(memory, os.path.join(root, "run"))
        fake = stack.enter_context(FakeHost(machine, root))
        libvirt = FakeLibvirt(fake)
        libvirt.install()
        libvirt.manage(GUEST)
        xml = os.path.join(root, "domain.xml")
        with open(os.path.join(root, UNCOUNTED), "x", encoding="utf-8"):
            """What the kit counts is no part of a hook."""
        with open(xml, "w", encoding="utf-8") as file:
            file.write(domain(GUEST, hostdevs=addresses))
        yield Rig(fake, fake.paths.shim, xml)
