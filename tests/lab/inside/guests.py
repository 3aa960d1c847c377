"""Further guests than the lab's own: which devices each has, whether it has them, how a start was refused."""

from __future__ import annotations

import os
from dataclasses import dataclass

from tests.lab.inside import card, guest, programs
from tests.lab.inside.checks import eventually, expect
from tests.lab.inside.lab import Lab

FILES = "/etc/vfioctl/guests"
State = dict[str, str]


@dataclass(frozen=True, slots=True)
class Guest:
    """One guest by name; `number` makes its UUID."""

    name: str
    number: int
    devices: tuple[str, ...]

    def define(self, settings: str = "", managed: str = "no") -> None:
        """Define it and put it under vfioctl, with these settings."""
        guest.define(managed, self.devices, self.name, f"22222222-2222-4333-8444-{self.number:012d}")
        with open(f"{FILES}/{self.name}.toml", "w", encoding="utf-8") as file:
            file.write(settings)

    def start(self, lab: Lab) -> None:
        with lab.check(f"virsh start {self.name}: it has {', '.join(self.devices)}"):
            done, seconds = programs.timed(["virsh", "start", self.name])
            expect(truth=done.returncode == 0, otherwise=f"virsh start failed: {done.stderr.strip()}")
            lab.time(f"virsh start {self.name}", seconds)
            self.has_devices()

    def has_devices(self) -> None:
        for address in self.devices:
            now, group = card.driver(address), group_of(address)
            expect(truth=now == "vfio-pci", otherwise=f"{address} is on {now or 'no driver'}")
            found = card.openers(f"/dev/vfio/{group}")
            expect(truth=any(comm.startswith("qemu") for comm in found.values()), otherwise=f"group {group}: {found}")

    def destroy(self, lab: Lab) -> None:
        with lab.check(f"virsh destroy {self.name}"):
            done, seconds = programs.timed(["virsh", "destroy", self.name])
            expect(truth=done.returncode == 0, otherwise=f"virsh destroy failed: {done.stderr.strip()}")
            lab.time(f"virsh destroy {self.name}", seconds)

    def is_refused(self, lab: Lab, *words: str, label: str = "virsh start is refused") -> str:
        """Start it in vain; the sentence, which says all of `words`."""
        with lab.check(label) as said:
            done, seconds = programs.timed(["virsh", "start", self.name])
            expect(truth=done.returncode != 0, otherwise="the guest started")
            for word in words:
                expect(truth=word in done.stderr, otherwise=f"no {word!r} in: {done.stderr.strip()}")
            lab.time(f"refused: virsh start {self.name}", seconds)
            sentence = done.stderr.strip().rpartition("exit status")[2].partition(":")[2].strip()
            said.append(sentence)
        return sentence

    def state(self) -> State:
        """What a hand-off may change of its devices, as the kernel shows it."""
        shown = {f"{address} {name}": card.read(f"/sys/bus/pci/devices/{address}/{name}")
                 for address in self.devices for name in card.ATTRIBUTES}  # fmt: skip
        return shown | {f"{address} driver": card.driver(address) for address in self.devices}

    def is_as(self, lab: Lab, before: State, deadline: float = 60.0) -> None:
        with lab.check(f"{', '.join(self.devices)}: everything as before") as said:
            eventually(lambda: self.state() == before, deadline, lambda: "; ".join(differences(before, self.state())))
            said += [card.driver(address) for address in self.devices]


def group_of(address: str) -> str:
    return os.path.basename(os.readlink(f"/sys/bus/pci/devices/{address}/iommu_group"))


def differences(before: State, after: State) -> list[str]:
    return [f"{key}: {before[key]!r} became {after[key]!r}" for key in before if before[key] != after[key]]
