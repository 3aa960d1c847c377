"""A server whose guests have one card each, and share a driver's module and the sleep inhibitor.

Hooks run as processes, as many at once as libvirtd would start; what each took is measured.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from vfioctl.testing import scenarios
from vfioctl.testing.domains import domain
from vfioctl.testing.host import FakeHost
from vfioctl.testing.libvirt import FakeLibvirt
from vfioctl.testing.model import MachineSpec
from vfioctl.txn.journal import open_uuids
from vfioctl.txn.resources import Ledger, file_name
from vfioctl.wait import until

CARDS = 16
PATIENCE = 90.0  # with everything that several guests do at once, on a busy machine
HOME, GIVEN = "nvidia", "vfio-pci"


@dataclass(frozen=True, slots=True)
class Guest:
    """The guest that gets the card of its number."""

    number: int

    @property
    def name(self) -> str:
        return f"guest{self.number}"

    @property
    def uuid(self) -> str:
        return f"5f0e1d2c-3b4a-4958-8776-0000000000{self.number:02x}"

    @property
    def card(self) -> str:
        return f"0000:{0x10 + self.number:02x}:00.0"

    @property
    def addresses(self) -> tuple[str, str]:
        return self.card, self.card[:-1] + "1"

    @property
    def xml(self) -> bytes:
        return domain(self.name, uuid=self.uuid, hostdevs=self.addresses).encode()


@dataclass(slots=True)
class Call:
    """One call of the hook that is under way, and how long libvirt waited for it once it has ended."""

    guest: Guest
    process: subprocess.Popen[bytes]
    began: float = field(default_factory=time.monotonic)
    seconds: float | None = None
    status: int = 0
    stderr: str = ""

    def has_ended(self) -> bool:
        if self.seconds is None and self.process.poll() is not None:
            self.seconds = time.monotonic() - self.began
            self.status, self.stderr = self.process.returncode, self.process.communicate()[1].decode()
        return self.seconds is not None


class Rack:
    """The machine with `count` guests."""

    home = HOME

    def __init__(self, host: FakeHost, count: int, settings: str = "") -> None:
        self.host, self.libvirt = host, FakeLibvirt(host)
        self.libvirt.install()
        self.guests = tuple(map(Guest, range(count)))
        for guest in self.guests:
            self.libvirt.manage(guest.name, settings)

    # What libvirt does

    def call(self, guest: Guest, operation: str) -> Call:
        """One call of the hook, on its way."""
        process = self.libvirt.popen(guest.name, operation, "end" if operation == "release" else "begin")
        assert process.stdin
        with suppress(BrokenPipeError):
            process.stdin.write(guest.xml)
            process.stdin.close()
        process.stdin = None
        return Call(guest, process)

    def ended(self, calls: Iterable[Call]) -> tuple[Call, ...]:
        """The calls, once libvirt need not wait any more."""
        every = tuple(calls)
        assert until(lambda: sum(call.has_ended() for call in every) == len(every), PATIENCE)
        return every

    def start(self, *guests: Guest) -> tuple[Call, ...]:
        """Start the guests at one instant; those that are not refused run."""
        calls = self.ended(self.call(guest, "prepare") for guest in guests)
        for call in calls:
            if not call.status:
                self.run(call.guest)
        return calls

    def run(self, guest: Guest) -> None:
        """QEMU of a guest that was handed its card."""
        pid = self.host.kernel.add_process(self.libvirt.qemu(guest.name, guest.uuid, guest.addresses))
        self.libvirt.adopt(guest.name, pid)
        self.ended([self.call(guest, "started")])

    def give(self, *guests: Guest) -> None:
        """Start the guests one after the other."""
        for guest in guests:
            started = self.libvirt.start(guest.name, guest.uuid, guest.xml, addresses=guest.addresses)
            assert started.status == 0, started.stderr

    def launch_stop(self, *guests: Guest) -> tuple[Call, ...]:
        """The guests end at one instant; their `release` is on its way."""
        for guest in guests:
            self.libvirt.end(guest.name)
        return tuple(self.call(guest, "release") for guest in guests)

    def stop(self, *guests: Guest) -> tuple[Call, ...]:
        """The guests end at one instant, and libvirt has waited for it; the detached parts go on."""
        return self.ended(self.launch_stop(*guests))

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self.host.argv, *arguments], capture_output=True, text=True, check=False, timeout=120, cwd="/",
        )  # fmt: skip

    # What is true

    def open(self) -> tuple[str, ...]:
        """The UUIDs whose hand-off is open."""
        return open_uuids(self.host.paths)

    def is_home(self, *guests: Guest) -> bool:
        """Whether the hand-offs of `guests`, or of all, come to their end, and their cards to their driver."""
        wanted = guests or self.guests
        over = until(lambda: not {guest.uuid for guest in wanted} & set(self.open()), PATIENCE)
        return over and all(self.driver(guest) == HOME for guest in wanted)

    def driver(self, guest: Guest) -> str:
        link = self.host.paths.pci(guest.card, "driver")
        return os.path.basename(os.readlink(link)) if os.path.lexists(link) else ""

    def ledger(self) -> tuple[str, ...]:
        return tuple(entry.resource for entry in Ledger(self.host.paths).entries())

    def last(self, guest: Guest) -> dict[str, Any]:
        return json.loads(Path(self.host.paths.last(guest.name)).read_text())  # type: ignore[no-any-return]

    def lock(self, resource: str) -> str:
        """The file of a resource's lock."""
        return os.path.join(self.host.paths.locks, file_name(resource) + ".lock")

    def logs(self) -> tuple[Path, ...]:
        """What hooks and detached parts have said."""
        found = (*Path(self.host.paths.log).glob("*"), *Path(self.host.root, ".kit/units").glob("*"))
        return tuple(path for path in found if path.is_file())

    def bugs(self) -> tuple[str, ...]:
        """Lines of any log that tell of a bug of ours."""
        lines = (line for log in self.logs() for line in log.read_text(errors="replace").splitlines())
        return tuple(line for line in lines if "internal error" in line or "Traceback" in line)

    def is_proved(self, guest: Guest) -> bool:
        """Whether the guest's last outcome is a return of which everything was seen."""
        last = self.last(guest)
        return last["event"] == "release" and last["ok"] and "not seen" not in last["message"]

    def expect_in_vain(self, *guests: Guest) -> None:
        """Let the return of `guests` be proved by what never comes."""
        self.expect("/nowhere", *guests)

    def expect(self, path: str, *guests: Guest) -> None:
        """Let the return of `guests` be proved by `path` as well: written into their journals while they run."""
        for guest in guests:
            for file in (self.host.paths.boot_journal(guest.uuid), self.host.paths.disk_journal(guest.uuid)):
                head, _, rest = Path(file).read_text().partition("\n")
                story = json.loads(head)
                story["plan"]["proof"].append({"kind": "path.exists", "args": {"path": path}})
                Path(file).write_text(f"{json.dumps(story)}\n{rest}")


def machine(cards: int = CARDS, *, systemd: bool = True) -> MachineSpec:
    return replace(scenarios.rack(cards), systemd=systemd)
