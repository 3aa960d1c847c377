"""Many hand-offs in one boot: nothing grows, and the last ones take no longer than the first ones."""

from __future__ import annotations

import glob
import os
import statistics
import time

from tests.lab.inside import card, managed, programs, standins
from tests.lab.inside.checks import eventually, expect
from tests.lab.inside.guests import Guest
from tests.lab.inside.lab import Lab
from tests.lab.inside.scenario import scenario

CYCLES = 50
WARM_UP = 5
MIB = 1024
# What a process of this size may gain while the C library and Python settle, and never once a cycle.
MEMORY_KIB = 6 * MIB
LONG_LIVED = ("libvirtd", "virtlogd", "systemd", "systemd-logind", "systemd-udevd", "dbus-daemon", "systemd-journal")
PLACES = ("/run", "/dev", "/var/lib/vfioctl", "/tmp")
KEPT = "/var/lib/vfioctl/history"  # a record of each hand-off stays, up to 500

Counts = dict[str, int]


@scenario(seconds=700)
def guest(lab: Lab) -> None:
    """Fifty starts and stops of a guest with a card: descriptors, memory, mounts, files, units and time do not grow."""
    (address,) = standins.plug(lab, 1)
    machine = Guest("soak", 1, (address,))
    machine.define()
    before = machine.state()
    seconds: list[float] = []
    with lab.check(f"{WARM_UP} cycles to warm up"):
        seconds += [_timed(machine) for _ in range(WARM_UP)]
    first = _counts()
    with lab.check(f"{CYCLES - WARM_UP} cycles more") as said:
        seconds += [_timed(machine) for _ in range(CYCLES - WARM_UP)]
        said.append(f"median {statistics.median(seconds):.2f} s, from {min(seconds):.2f} to {max(seconds):.2f}")
    last = _counts()
    lab.time("a cycle, median", statistics.median(seconds))
    machine.is_as(lab, before)
    with lab.check("nothing has grown") as said:
        grown = {name: (first.get(name, 0), count) for name, count in last.items() if _has_grown(name, first, count)}
        expect(truth=not grown, otherwise=f"from, to: {grown}")
        said.append(f"{len(last)} counts, such as {_some(last)}")
    with lab.check("the time of a cycle does not grow") as said:
        slope, error = _slope(seconds[WARM_UP:])
        expect(truth=slope < 3 * error, otherwise=f"{slope * 1000:.1f} ms a cycle, standard error {error * 1000:.1f}")
        said.append(f"{slope * 1000:+.1f} ms a cycle, standard error {error * 1000:.1f}")
    with lab.check("every cycle is in history, and nothing is left open") as said:
        records = [one for one in managed.data("history")["hand_offs"] if one["guest"] == machine.name]
        said.append(f"{len(records)} records kept")
        expect(truth=not managed.leftovers(), otherwise=f"left: {managed.leftovers()}")


def _timed(machine: Guest) -> float:
    """The seconds of one start and stop; the rest of the return is waited for, and not counted."""
    begun = time.monotonic()
    programs.must(["virsh", "start", machine.name])
    machine.has_devices()
    programs.must(["virsh", "destroy", machine.name])
    seconds = time.monotonic() - begun
    eventually(lambda: card.driver(machine.devices[0]) == "bochs-drm", 60, "the card did not come home")
    eventually(lambda: not managed.leftovers(), 60, lambda: f"left: {managed.leftovers()}")
    return seconds


def _counts() -> Counts:
    """What may grow, by name: descriptors and memory of what lives long, mounts, files, units, processes."""
    counts: Counts = {}
    for path in glob.glob("/proc/[0-9]*/comm"):
        comm, base = card.read(path), os.path.dirname(path)
        if comm in LONG_LIVED:
            name = f"{comm} {base.rpartition('/')[2]}"
            counts[f"descriptors of {name}"] = len(os.listdir(f"{base}/fd"))
            counts[f"KiB of {name}"] = _resident(base)
    counts["processes"] = len(glob.glob("/proc/[0-9]*"))
    counts["mounts"] = len(card.read("/proc/self/mountinfo").splitlines())
    counts["units"] = len(programs.must(["systemctl", "list-units", "--all", "--plain", "--no-legend"]).splitlines())
    for place in PLACES:
        below = (len(files) + len(names) for base, names, files in os.walk(place) if base != KEPT)
        counts[f"files below {place}"] = sum(below)
    counts["KiB of slab that cannot be reclaimed"] = _meminfo("SUnreclaim")
    return counts


def _resident(base: str) -> int:
    lines = card.read(f"{base}/status").splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith("RssAnon")), 0)


def _meminfo(name: str) -> int:
    return next(int(line.split()[1]) for line in card.read("/proc/meminfo").splitlines() if line.startswith(name))


def _has_grown(name: str, first: Counts, count: int) -> bool:
    """Memory settles; a kernel thread and a file that comes and goes are not growth, one a cycle is."""
    slack = MEMORY_KIB if name.startswith("KiB") else (CYCLES - WARM_UP) // 4
    return count > first.get(name, 0) + slack


def _some(counts: Counts) -> str:
    told = {"processes", "mounts", "units", "files below /run"}
    shown = [name for name in counts if "libvirtd" in name or name in told]
    return ", ".join(f"{name} {counts[name]}" for name in shown)


def _slope(seconds: list[float]) -> tuple[float, float]:
    """The least-squares slope of the times and its standard error."""
    numbers = list(range(len(seconds)))
    slope, start = statistics.linear_regression(numbers, seconds)
    residues = [took - (start + slope * number) for number, took in zip(numbers, seconds, strict=True)]
    spread = sum((number - statistics.mean(numbers)) ** 2 for number in numbers)
    return slope, (sum(one**2 for one in residues) / (len(numbers) - 2) / spread) ** 0.5
