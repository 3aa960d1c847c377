"""The comparison in the lab: its figures with their goals, told to the outside. Judges nothing."""

from __future__ import annotations

from functools import partial
from statistics import median
from typing import Any

from tests.bench.lab import rounds, ways, writes
from tests.bench.lab.rounds import Taken
from tests.bench.lab.ways import FLOOR_WAY, OUR_WAY, USUAL_WAY, WAYS
from tests.lab.inside import card, desktop, managed, programs
from tests.lab.inside.checks import eventually, expect
from tests.lab.inside.lab import Lab

# A process that is smaller than what it measures: a child starts with the peak of the one that forked it.
PEAK = "import os,sys\np=os.posix_spawn(sys.argv[1],sys.argv[1:],dict(os.environ))\nprint(os.wait4(p,0)[2].ru_maxrss)"
Row = dict[str, Any]


def run(lab: Lab) -> None:
    with lab.check("no desktop is on the card, vfio-pci is loaded, and the hook stands aside"):
        programs.must(["modprobe", "vfio-pci"])
        programs.must(["systemctl", "stop", desktop.MANAGER])
        eventually(lambda: desktop.is_gone() and card.is_home(), 60, desktop.what_runs)
        ways.aside()
    rows: list[Row] = []
    with lab.check(f"writes below /sys, {FLOOR_WAY.name} and {OUR_WAY.name}") as said:
        rows.append(_writes())
        said.append(rows[-1]["detail"])
    with lab.check(f"{rounds.ROUNDS} rounds of {len(WAYS)} ways") as said:
        taken = rounds.interleaved()
        said += [f"{name} {median(one.virsh):.2f} s" for name, one in taken.items()]
    rows += _seconds(taken)
    with lab.check("virsh list meanwhile"):
        rows.append(_lists())
    with lab.check("the record of a hand-off, and the memory of its hook"):
        rows += [_steps(), _memory()]
    lab.channel.tell("figures", rounds=rounds.ROUNDS, rows=rows, table=[_line(way, taken) for way in WAYS])


def _writes() -> Row:
    floor, ours = (writes.counted(partial(_hand_off, way)) for way in (FLOOR_WAY, OUR_WAY))
    expect(truth=floor == ways.FLOOR_WRITES, otherwise=f"the kernel saw {floor} of {ways.FLOOR_WRITES} writes")
    return _row("writes below /sys, vfioctl / floor", ours / floor, goal=1.2, unit="x", detail=f"{ours} / {floor}")


def _hand_off(way: ways.Way) -> None:
    """Give and return by the hook alone, as libvirt calls it, without a guest."""
    way.begins()
    _hooked("prepare begin", "start begin", "started begin")
    _hooked("stopped end", "release end")
    eventually(lambda: ways.is_home() and not managed.leftovers(), 60, lambda: f"left: {managed.leftovers()}")
    way.ends()


def _hooked(*operations: str) -> None:
    domain = programs.must(["virsh", "dumpxml", ways.GUEST.name])
    for operation in operations:
        done = programs.run([managed.HOOK, ways.GUEST.name, *operation.split(), "-"], text=domain)
        expect(truth=done.returncode == 0, otherwise=f"{operation}: {done.stderr}")


def _seconds(taken: dict[str, Taken]) -> list[Row]:
    floor, ours, usual = (median(taken[way.name].virsh) for way in (FLOOR_WAY, OUR_WAY, USUAL_WAY))
    alone = median(taken[ways.ALONE_WAY.name].virsh)
    return [
        _row("give and return as `virsh` shows them, vfioctl / usual script", ours / usual,
             goal=0.1, unit="x", detail=f"{ours:.2f} s / {usual:.2f} s"),
        _row("the same less what the guest alone takes", (ours - alone) / (usual - alone),
             goal=0.1, unit="x", detail=f"{ours - alone:.2f} s / {usual - alone:.2f} s"),
        _row("give and return as `virsh` shows them, vfioctl - floor", ours - floor,
             goal=1.0, unit="s", detail=f"{ours:.2f} s - {floor:.2f} s"),
    ]  # fmt: skip


def _lists() -> Row:
    waits = {name: median(seconds) for name, seconds in rounds.lists().items()}
    floor, ours = waits[FLOOR_WAY.name], waits[OUR_WAY.name]
    detail = f"{ours:.2f} s - {floor:.2f} s; of an idle daemon {waits['']:.2f} s"
    return _row("longest `virsh list` during a start, vfioctl - floor", ours - floor, goal=0.5, unit="s", detail=detail)


def _steps() -> Row:
    """The last prepare and release of the guest; the whole is told by the waterfall of `vfioctl history`."""
    shares, detail = [], []
    for event in ("prepare", "release"):
        last = next(one for one in managed.data("history")["hand_offs"]
                    if one["guest"] == ways.GUEST.name and one["event"] == event)  # fmt: skip
        record = managed.data("history", last["id"])["hand_off"]
        steps = sum(step["duration"] for step in record["steps"])
        shares.append(abs(1 - steps / record["duration"]) * 100)
        detail.append(f"{event} {steps:.2f} of {record['duration']:.2f} s")
    said = ", ".join(detail)
    return _row("what the times of the steps miss of the whole", max(shares), goal=5.0, unit="%", detail=said)


def _memory() -> Row:
    ways.OUR_WAY.begins()
    domain = programs.must(["virsh", "dumpxml", ways.GUEST.name])
    hook = [managed.HOOK, ways.GUEST.name, "prepare", "begin", "-"]
    done = programs.run(["/usr/bin/python3", "-I", "-S", "-c", PEAK, *hook], text=domain)
    expect(truth=done.returncode == 0, otherwise=done.stderr)
    _hooked("release end")
    eventually(ways.is_home, 60, card.where)
    peak = int(done.stdout.split()[-1]) / 1024
    return _row("peak memory of `prepare`", peak, goal=40.0, unit="MiB", detail="ru_maxrss")


def _row(what: str, measured: float, *, goal: float, unit: str, detail: str) -> Row:
    return {"what": what, "goal": goal, "measured": measured, "unit": unit, "detail": detail}


def _line(way: ways.Way, taken: dict[str, Taken]) -> Row:
    one = taken[way.name]
    parts = {"start": one.start, "stop": one.stop, "both": one.virsh, "home": one.home}
    return {"name": way.name, "what": way.what} | {name: median(seconds) for name, seconds in parts.items()}
