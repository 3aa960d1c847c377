"""A simulated machine with three cards and three services, for guests that share them; hooks run as processes.

What each guest should hold is remembered here and never read from vfioctl's own books.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from hand_offs import OUR_RECORDS, VFIO_STAYS

from vfioctl.handoff.notes import guest_lock
from vfioctl.testing import parts, snapshot
from vfioctl.testing.crash import boundaries, crash_at, pause_at, paused
from vfioctl.testing.domains import domain
from vfioctl.testing.host import FakeHost
from vfioctl.testing.libvirt import FakeLibvirt, HookCall
from vfioctl.testing.model import FakeDevice, FakeProcess, FakeUnit, MachineSpec
from vfioctl.wait import until

REFUSED = 3  # the exit status
DEADLINE = 40.0  # no call may take longer, however many others it waits for
CARDS = {
    "0000:01:00.0": ("*0000:01:00.?*", "*/net/enp1s0*", "sys/kernel/iommu_groups/14/*", "dev/vfio/14"),
    "0000:02:00.0": ("*0000:02:00.0*", "*/net/enp2s0*", "sys/kernel/iommu_groups/15/*", "dev/vfio/15"),
    "0000:03:00.0": ("*0000:03:00.0*", "*/net/enp3s0*", "sys/kernel/iommu_groups/16/*", "dev/vfio/16"),
}  # each with everything of the machine that its hand-off may change
FIRST, SECOND, THIRD = CARDS
SHARED, OTHER, STOPPED = UNITS = ("ollama.service", "comfyui.service", "folding.service")
ANYBODYS = ("inhibitor vfioctl", "process *libvirtd.service*", "process systemd-inhibit*", "process sleep*")


def card(address: str, group: int, bridge: str, network: str) -> FakeDevice:
    return FakeDevice(
        address, 0x8086, 0x1521, 0x020000, driver="igb", drivers=("igb",), group=group, bridge=bridge,
        network=network, reset_methods=("flr", "pm"), subsystem_vendor=0x8086, subsystem_device=0x0001,
    )  # fmt: skip


def machine() -> MachineSpec:
    """Three cards, the first with two functions; two services that run and one that does not."""
    first = card(FIRST, 14, "0000:00:01.0", "enp1s0")
    host = parts.headless()
    runs = tuple(FakeProcess(unit.partition(".")[0], unit=unit) for unit in (SHARED, OTHER))
    units = tuple(FakeUnit(one.unit or "", brings=(one,)) for one in runs)
    return replace(
        host, name="three-cards", modules=(parts.module("igb", "network"), *parts.common_modules()),
        processes=(*host.processes, *(replace(one, pid=5_000_500 + number) for number, one in enumerate(runs))),
        units=(*host.units, *units, FakeUnit(STOPPED, active=False)),
        devices=(
            *parts.chipset(), first, replace(first, address="0000:01:00.1", network=None),
            card(SECOND, 15, "0000:00:01.1", "enp2s0"), card(THIRD, 16, "0000:00:08.1", "enp3s0"),
        ),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Wish:
    """What a guest file asks for."""

    cards: tuple[str, ...] = ()
    units: tuple[str, ...] = ()

    @property
    def addresses(self) -> tuple[str, ...]:
        more = ("0000:01:00.1",) if FIRST in self.cards else ()
        return (*self.cards, *more)

    def settings(self) -> str:
        return f"devices = {list(self.cards[1:])}\nunits = {list(self.units)}\n".replace("'", '"')


@dataclass(slots=True)
class Guest:
    """A guest as libvirt and its administrator see it: its settings now, and those it was started with."""

    name: str
    uuid: str
    wish: Wish | None = None  # None: no guest file
    had: Wish = Wish()  # of its latest start
    former: Wish = Wish()  # of starts before it that may have been unfinished then
    runs: bool = False

    @property
    def claims(self) -> Wish:
        """What may be its own while its hand-off is open."""
        return Wish((*self.had.cards, *self.former.cards), (*self.had.units, *self.former.units))

    @property
    def xml(self) -> bytes:
        return domain(self.name, uuid=self.uuid, hostdevs=self.had.cards[:1]).encode()


def three() -> tuple[Guest, Guest, Guest]:
    """Guests that list the same service; the third wants the second's card."""
    wishes = (Wish((FIRST,), (SHARED, OTHER)), Wish((SECOND,), (SHARED,)), Wish((THIRD, SECOND), (OTHER, STOPPED)))
    names = ("win11", "steam deck", "-größe")
    guests = (
        Guest(name, f"00000000-1111-4222-8333-44444444444{number}", wish)
        for number, (name, wish) in enumerate(zip(names, wishes, strict=True))
    )
    one, two, other = guests
    return one, two, other


class House:
    """The machine with its guests. Calls of the hook are processes; several can be under way at once."""

    def __init__(self, host: FakeHost) -> None:
        self.host = host
        self.libvirt = FakeLibvirt(host)
        self.libvirt.install()
        self.guests = three()
        self.children: list[subprocess.Popen[bytes]] = []
        self.before = self.look()
        for guest in self.guests:
            self.manage(guest, guest.wish)

    def look(self) -> snapshot.Snapshot:
        """The machine, and which simulated processes run where."""
        seen = snapshot.take(self.host.root)
        names = [f"process {one['comm']} {one['cgroup']}" for one in self.host.kernel.processes()]
        return seen | {name: f"{names.count(name)} times" for name in names}

    def manage(self, guest: Guest, wish: Wish | None) -> None:
        """Write or remove the guest file; the guest may run meanwhile."""
        guest.wish = wish
        if wish is None:
            Path(self.host.paths.guest_config(guest.name)).unlink(missing_ok=True)
        else:
            self.libvirt.manage(guest.name, wish.settings())

    # What is true

    def is_open(self, guest: Guest) -> bool:
        """Whether a hand-off of `guest` is unfinished or lasts."""
        return os.path.exists(self.host.paths.boot_journal(guest.uuid))

    def is_worked_on(self, guest: Guest) -> bool:
        """Whether a process hands `guest` off now, or is about to finish its return."""
        units = self.host.kernel.units()
        return guest_lock(self.host.paths, guest.uuid).is_held_elsewhere() or (
            f"system/vfioctl-finish-{guest.uuid}.service" in units)

    def is_dead(self, guest: Guest, number: int) -> bool:
        """Whether the process that was to pass boundary `number` has died of it."""
        return len(boundaries(self.host.root)) >= number and not self.is_worked_on(guest)

    def holders(self) -> tuple[Guest, ...]:
        return tuple(guest for guest in self.guests if guest.runs or self.is_open(guest))

    def driver(self, address: str) -> str:
        """The driver that `address` is on; empty when on none."""
        try:
            return os.path.basename(os.readlink(self.host.paths.pci(address, "driver")))
        except FileNotFoundError:
            return ""

    def is_active(self, unit: str) -> bool:
        return bool(self.host.kernel.units()[f"system/{unit}"]["active"] == "active")

    def differences(self) -> tuple[str, ...]:
        """What is not as at the start although nobody holds it. Who holds what is asked first: that only shrinks."""
        holders = self.holders()
        allowed = [*OUR_RECORDS, *VFIO_STAYS, "etc/vfioctl/guests/*"]
        if holders:
            allowed += [*ANYBODYS, "run/vfioctl/guests/*", "run/vfioctl/resources/*"]
        for guest in holders:
            allowed += [f"*vfioctl/journal/{guest.uuid}.jsonl"]
            allowed += [pattern for address in guest.claims.cards for pattern in CARDS[address]]
            allowed += [f"unit system/{unit}" for unit in guest.claims.units]
            allowed += [f"process {unit.partition('.')[0]} */{unit}" for unit in guest.claims.units]
        return snapshot.difference(self.before, self.look(), allowed=allowed)

    def bugs(self) -> tuple[str, ...]:
        """Lines of any log that tell of a bug of ours."""
        logs = (*Path(self.host.paths.log).glob("*"), *Path(self.host.root, ".kit/units").glob("*"))
        lines = (line for log in logs if log.is_file() for line in log.read_text(errors="replace").splitlines())
        return tuple(line for line in lines if "internal error" in line or "Traceback" in line)

    # Calls

    def launch(self, guest: Guest, operation: str) -> subprocess.Popen[bytes]:
        """The hook, on its way: `prepare`, `started`, `release` or whatever libvirt calls it with."""
        process = self.libvirt.popen(guest.name, operation, "end" if operation == "release" else "begin")
        self.children.append(process)
        assert process.stdin
        with suppress(BrokenPipeError):  # the shim reads nothing for what is none of its business
            process.stdin.write(guest.xml)
            process.stdin.flush()
        with suppress(BrokenPipeError):
            process.stdin.close()
        process.stdin = None
        return process

    def command(self, *arguments: str) -> subprocess.Popen[bytes]:
        """A vfioctl command, on its way."""
        process = subprocess.Popen(
            [*self.host.argv, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            cwd="/", start_new_session=True,
        )  # fmt: skip
        self.children.append(process)
        return process

    def ended(self, process: subprocess.Popen[bytes], operation: str = "") -> HookCall:
        """How a process ended. One that takes longer than any deadline allows is a deadlock."""
        _, stderr = process.communicate(timeout=DEADLINE)
        self.children.remove(process)
        return HookCall(operation, process.returncode, stderr.decode(errors="replace"))

    def call(self, guest: Guest, operation: str) -> HookCall:
        return self.ended(self.launch(guest, operation), operation)

    # What libvirt does

    def launch_start(self, guest: Guest) -> subprocess.Popen[bytes]:
        """The first call of a start, on its way; `follow_start` does the rest."""
        if guest.wish is not None:
            guest.former = guest.claims if self.is_open(guest) else Wish()
            guest.had = guest.wish
        return self.launch(guest, "prepare")

    def follow_start(self, guest: Guest, prepared: HookCall) -> HookCall:
        """What libvirtd does after `prepare`: QEMU and `started`, or the two calls after a failed start."""
        if prepared.status:
            self.call(guest, "stopped")
            self.call(guest, "release")
        elif guest.wish is not None and self.is_open(guest):  # a guest without a file is handed nothing
            pid = self.host.kernel.add_process(self.libvirt.qemu(guest.name, guest.uuid, guest.had.addresses))
            self.libvirt.adopt(guest.name, pid)
            guest.runs, guest.former = True, Wish()
            self.call(guest, "started")
        return prepared

    def start(self, guest: Guest) -> HookCall:
        return self.follow_start(guest, self.ended(self.launch_start(guest), "prepare"))

    def launch_stop(self, guest: Guest) -> subprocess.Popen[bytes]:
        """QEMU has ended; `release` is on its way."""
        self.qemu_dies(guest)
        return self.launch(guest, "release")

    def qemu_dies(self, guest: Guest) -> None:
        """QEMU is gone, and libvirtd has not noticed, or is gone too."""
        self.libvirt.end(guest.name)
        guest.runs = False

    def stop(self, guest: Guest) -> None:
        """A guest ends; the detached part goes on."""
        assert self.ended(self.launch_stop(guest)).status == 0

    def is_home(self, *guests: Guest) -> bool:
        """Whether the hand-offs of `guests` come to their end, the detached part included."""
        return until(lambda: not any(self.is_open(guest) for guest in guests), DEADLINE)

    def recover(self, *arguments: str) -> HookCall:
        return self.ended(self.command("recover", *arguments))

    # Troubles

    def crash_at(self, number: int | None) -> None:
        """The process that passes the journal boundary `number` from now on is killed there."""
        crash_at(self.host.root, number)

    def pause(self, guest: Guest, operation: str, number: int) -> tuple[subprocess.Popen[bytes], int]:
        """Begin `operation` and stop it at its journal boundary `number`; the hook and the process that stopped."""
        pause_at(self.host.root, number)
        process = self.launch_start(guest) if operation == "prepare" else self.launch(guest, operation)
        assert until(lambda: paused(self.host.root) is not None, DEADLINE), self.ended(process)
        pid = paused(self.host.root)
        assert pid
        crash_at(self.host.root, None)
        return process, pid

    def waits_for(self, process: subprocess.Popen[bytes], lock: str) -> bool:
        """Whether the process has opened a lock whose name begins so and that somebody else holds, or has ended."""
        try:
            with os.scandir(f"/proc/{process.pid}/fd") as fds:
                names = [os.readlink(fd.path) for fd in fds]
        except OSError:
            names = []
        wanted = [name for name in names if name.startswith(os.path.join(self.host.paths.locks, lock))]
        return process.poll() is not None or any(Path(name).read_text() != str(process.pid) for name in wanted)

    # Between examples

    def calm_down(self) -> None:
        """Every guest ends, whatever state it is in, and its settings are those of the beginning."""
        self.crash_at(None)
        for guest in self.guests:
            if guest.runs:
                self.stop(guest)
        if not until(lambda: not any(map(self.is_open, self.guests)), 1.0):
            until(lambda: self.recover().status == 0, DEADLINE)
        for guest, fresh in zip(self.guests, three(), strict=True):
            self.manage(guest, fresh.wish)

    def raze(self) -> None:
        """After a failure: whatever still runs is killed, and the machine is set up anew."""
        for child in self.children:
            os.killpg(child.pid, signal.SIGKILL)
            child.communicate()
        self.children.clear()
        self.host.reboot()
        for directory in (self.host.paths.log, os.path.dirname(os.path.dirname(self.host.paths.disk_journal("x")))):
            subprocess.run(["rm", "-rf", directory], check=True)
        self.crash_at(None)
        self.libvirt.install()
        for guest, fresh in zip(self.guests, three(), strict=True):
            self.libvirt.end(guest.name)
            guest.runs = False
            self.manage(guest, fresh.wish)


def meet(guests: Iterable[Guest], wish: Wish) -> tuple[Guest, ...]:
    """Those of `guests` who have a card that `wish` asks for."""
    return tuple(guest for guest in guests if set(guest.claims.cards) & set(wish.cards))


def is_asked_to_stop(pid: int) -> bool:
    """Whether SIGTERM waits for the process, which is stopped."""
    status = Path(f"/proc/{pid}/status").read_text()
    pending = next(line for line in status.splitlines() if line.startswith("ShdPnd"))
    return bool(int(pending.split()[1], 16) & 1 << signal.SIGTERM - 1)
