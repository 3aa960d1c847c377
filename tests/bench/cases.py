"""What is measured and what its goal is. Each case returns rows; the figures of one case come from one run."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import guest_verbs
import machines
import snapshot_verbs
import snapshots as records
import together as whole
from measure import Child, Cost, extra, interleaved, middle, program, run, times, turns_of

from vfioctl.compose import compose
from vfioctl.setup.shim import rendered
from vfioctl.testing import scenarios

GPU = "0000:01:00.0"
LOOKING, BLIND = (f'preflight = "{value}"\n' for value in ("refuse", "off"))  # both read a guest file
CARDS = 16
FUNCTIONS = 2
HOME_GOALS = {4: 5.0, 16: 10.0}  # seconds
ROUNDS = 15
MANY = 30
FEW = 5
ENTRY = (sys.executable, "-I", "-m", "vfioctl.entry", "--root")
CORE = "generic"  # the only plugin that comes with the core
PASS = (sys.executable, "-I", "-c", "pass")
HELLO = """
import click, pluggy
hookspec = pluggy.HookspecMarker("hello")
class Spec:
    @hookspec
    def greet(self, name): ...
manager = pluggy.PluginManager("hello")
manager.add_hookspecs(Spec)
@click.group()
def main(): "Says hello."
@main.command()
@click.argument("name")
def hello(name): "Greets NAME."
main(["--help"])
"""
LINES = ("pla", "plan w", "guest start w", "guest reset-system w", "guest create --po", "template add --po")
# A process that is smaller than what it measures: a child starts with the peak of the one that forked it.
PEAK = """
import os, sys
pid = os.posix_spawn(sys.argv[1], sys.argv[1:], {})
_, status, used = os.wait4(pid, 0)
assert status == 0
open(3, "w").write(str(used.ru_maxrss))
"""
# What a hook has imported before its first program; subprocess itself comes with that one.
SPAWN = """
import contextlib, json, re, select, signal, sys
if count := int(sys.argv[1]):
    import subprocess
    for _ in range(count):
        subprocess.run(["/bin/true"], capture_output=True, input="", text=True, start_new_session=True)
"""


@dataclass(frozen=True, slots=True)
class Row:
    """One figure with its goal: `measured` by the clock on the wall, `processor` by its time; `detail`: its origin.

    `most_processor` is a goal for the processor's time, where that has one.
    """

    name: str
    what: str
    goal: float
    measured: float
    processor: float | None
    unit: str
    detail: str
    most_processor: float | None = None

    @property
    def met(self) -> bool:
        spent = self.most_processor is None or self.processor is None or self.processor <= self.most_processor
        return self.measured <= self.goal and spent


def compared(name: str, what: str, goal: float, costs: dict[str, Cost]) -> Row:
    """The first of `costs` in units of the second."""
    ours, base = costs.values()
    detail = f"{_both(ours)} / {_both(base)}"
    return Row(name, what, goal, ours.wall / base.wall, ours.cpu / base.cpu, "x", detail)


def _both(cost: Cost) -> str:
    return f"{cost.wall * 1e3:.1f} ms ({cost.cpu * 1e3:.1f})"


def shim() -> Iterator[Row]:
    """A guest that is not managed pays for the shim alone; a hundred others are managed."""
    with tempfile.TemporaryDirectory(prefix="vfioctl-bench-") as root:
        guests = Path(root, "etc/vfioctl/guests")
        guests.mkdir(parents=True)
        for number in range(100):
            (guests / f"guest{number}.toml").touch()
        nothing = _script(Path(root, "nothing"), "#!/bin/sh\nexit 0\n")
        ours = _script(Path(root, "shim"), rendered(compose(root)))
        for operation in ("prepare", "release"):
            argv = ("other", operation, "begin", "-")
            costs = interleaved(
                {"shim": times(20, program(ours, *argv)), "nothing": times(20, program(nothing, *argv))}, ROUNDS
            )
            yield compared(f"shim-{operation}", f"`{operation}` of an unmanaged guest / a hook of `exit 0`", 1.5, costs)


def _script(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)
    return str(path)


def prepare() -> Iterator[Row]:
    """An acting prepare of two functions, where no program is run."""
    with machines.rig(machines.two_functions(), GPU) as rig:
        costs = interleaved({"prepare": rig.prepare, "python": program(*PASS)}, MANY)
        row = compared("prepare", "acting `prepare`, two functions / `python -I -c pass`", 8.0, costs)
        yield replace(row, most_processor=6.0)
        peak = _peak(rig) / 1024
        yield Row("memory", "peak memory of that hook", 40.0, peak, None, "MiB", "ru_maxrss")


def _peak(rig: machines.Rig) -> int:
    """KiB."""
    found = os.path.join(rig.fake.root, "peak")
    run(("/bin/sh", "-c", 'file=$1; shift; exec "$@" 3>"$file"', "sh", found,
         sys.executable, "-I", "-c", PEAK, *rig.argv("prepare")), rig.xml)  # fmt: skip
    return int(Path(found).read_text(encoding="utf-8"))


def looks() -> Iterator[Row]:
    """What the looks before a start add to the prepare of a guest without disks."""
    with machines.rig(machines.two_functions(), GPU) as rig:
        turns = turns_of({"looking": lambda: rig.prepare(LOOKING), "blind": lambda: rig.prepare(BLIND)}, MANY)
    cost = extra(turns, "looking", "blind")
    what = "whether the start can succeed, of a guest without disks"
    yield Row("looks", what, 3.0, cost.wall * 1e3, cost.cpu * 1e3, "ms", f"the median of {MANY} differences")


def engine() -> Iterator[Row]:
    """Give and return without Python's start, as the history keeps them."""
    with machines.rig(machines.two_functions(), GPU) as rig:
        seconds = [rig.recorded() for _ in range(ROUNDS)]
    given, back = (median(parts) * 1e3 for parts in zip(*seconds, strict=True))
    detail = f"prepare {given:.1f} ms, release {back:.1f} ms"
    whole = median(map(sum, seconds)) * 1e3
    yield Row("engine", "the engine alone, give and return of two functions", 35.0, whole, None, "ms", detail)


def programs() -> Iterator[Row]:
    """The same where systemd runs, with each program replaced by `true`."""
    with (
        machines.rig(machines.two_functions(systemd=True), GPU) as booted,
        machines.rig(machines.two_functions(), GPU) as plain,
    ):
        booted.replayed()
        count = len(Path(booted.answers).read_text(encoding="utf-8").splitlines())

        spawn = (sys.executable, "-I", "-c", SPAWN)
        turns = turns_of({
            "with": booted.replayed, "without": plain.direct,
            "true": program(*spawn, str(count)), "none": program(*spawn, "0"),
        }, ROUNDS)  # fmt: skip
        added, own = extra(turns, "with", "without"), extra(turns, "true", "none")
        detail = f"{count} programs: {_both(added)} / {_both(own)}"
        what = "what programs add to it / as many `true` alone"
        yield Row("programs", what, 1.5, added.wall / own.wall, added.cpu / own.cpu, "x", detail)


def help_page() -> Iterator[Row]:
    """The command line's own start."""
    hello = {"vfioctl": program(sys.executable, "-I", "-m", "vfioctl.entry", "--help"),
             "hello": program(sys.executable, "-I", "-c", HELLO)}  # fmt: skip
    yield compared("help", "`vfioctl --help` / a hello world of click and pluggy", 1.2, interleaved(hello, ROUNDS))
    with tempfile.TemporaryDirectory(prefix="vfioctl-bench-") as place:
        pages = {name: program(*ENTRY, _root(place, name), "--help") for name in ("all", "core")}
        what = "the same with all plugins / with the core alone"
        yield compared("help-plugins", what, 1.1, interleaved(pages, ROUNDS))


def _root(place: str, plugins: str) -> str:
    """A host below `place` that has "all" plugins, or those of the "core" alone."""
    root = Path(place, plugins)
    root.mkdir()
    run((*ENTRY, str(root), "plugins", "refresh"))
    if plugins == "core":
        (file,) = root.rglob("manifest.json")
        said = json.loads(file.read_text(encoding="utf-8"))
        own = [row for row in said["plugins"] if row["name"] == CORE]
        file.write_text(json.dumps({**said, "plugins": own, "commands": [], "groups": []}), encoding="utf-8")
    return str(root)


def completion() -> Iterator[Row]:
    """A word at a shell's prompt: a verb, a guest after a verb of the core, and what follows dear verbs of plugins."""
    with tempfile.TemporaryDirectory(prefix="vfioctl-bench-") as place:
        root = _root(place, "all")
        words = {line: _completed(f"vfioctl --root {root} {line}") for line in LINES}
        costs = interleaved({**words, "hello": program(sys.executable, "-I", "-c", HELLO)}, ROUNDS)
    dearest = max(words, key=lambda line: costs[line].wall)
    what = f"completion of `{dearest}`, the dearest of {len(words)} / that hello world"
    yield compared("completion", what, 1.5, {"word": costs[dearest], "hello": costs["hello"]})


def _completed(line: str) -> Child:
    """What bash runs for the last word of `line`, with the script of `vfioctl completion bash`."""
    asked = {"_VFIOCTL_COMPLETE": "bash_complete", "COMP_LINE": line, "COMP_WORDBREAKS": " \t\n\"'><=;|&(:"}
    return program(sys.executable, "-I", "-m", "vfioctl.entry", more=asked)


def doctor() -> Iterator[Row]:
    """Every check of a desktop with two cards, the hook and one guest."""
    with machines.rig(scenarios.two_gpu(), GPU) as rig:
        looked = program(*rig.fake.argv, "doctor", "--format", "json", ends=(0, 1))  # 1: it has no QEMU
        cost = interleaved({"doctor": looked}, FEW)["doctor"]
    what = "`vfioctl doctor` of a desktop with two cards"
    yield Row("doctor", what, 1.0, cost.wall, cost.cpu, "s", f"the median of {FEW}; its programs are simulated")


def devices() -> Iterator[Row]:
    """What each further function costs, up to sixteen cards of two."""
    with _racks(1, CARDS) as (one, many):
        turns = turns_of({"one": one.prepare, "many": many.prepare}, ROUNDS)
    added, further = extra(turns, "many", "one"), (CARDS - 1) * FUNCTIONS
    detail = f"{CARDS} cards take {_both(added)} more than one card"
    what = f"each further function, up to {CARDS} cards of {FUNCTIONS}"
    yield Row("devices", what, 5.0, added.wall * 1e3 / further, added.cpu * 1e3 / further, "ms", detail)


@contextmanager
def _racks(*counts: int) -> Iterator[list[machines.Rig]]:
    with ExitStack() as stack:
        yield [
            stack.enter_context(machines.rig(
                machines.rack(count), *(f"0000:{0x10 + index:02x}:00.0" for index in range(count))
            ))
            for count in counts
        ]  # fmt: skip


def together() -> Iterator[Row]:
    """Guests that stop at one instant, each with a card whose screen comes a second after its driver."""
    few, many = whole.rounds((CARDS // 4, CARDS), FEW)
    for count, seconds, hook in (few, many):
        what = f"until {count} guests that stop at once are home"
        detail = f"a screen comes after {whole.PROOF_SECONDS:g} s; the longest hook took {hook:.2f} s"
        yield Row(f"home-{count}", what, HOME_GOALS[count], seconds, None, "s", detail)
    detail = f"{many[1]:.2f} s / {few[1]:.2f} s"
    what = f"{many[0]} guests that stop at once / {few[0]} guests"
    yield Row("together", what, 2.0, many[1] / few[1], None, "x", detail)


def snapshots() -> Iterator[Row]:
    """What `snapshot list` asks libvirt for; needs root, libvirtd, QEMU and libvirt-python."""
    with records.daemon() as connection:
        taken = median(records.seconds(connection) for _ in range(ROUNDS))
    what = f"{records.GUESTS * records.EACH} snapshots over {records.GUESTS} guests, read from libvirt"
    yield Row("snapshots", what, 1.0, taken, None, "s", f"the median of {ROUNDS}")


def snapshot_commands() -> Iterator[Row]:
    """`vfioctl snapshot` on a private libvirtd with real images; needs what `snapshots` needs."""
    with snapshot_verbs.lab() as host:
        yield from _creates(snapshot_verbs.Creates(host))
        costs = interleaved({size: snapshot_verbs.revert(host, size) for size in ("100G", "1G")}, FEW)
        yield compared("sparse", "`snapshot revert` of a sparse disk of 100 GiB / of 1 GiB", 1.2, costs)
        yield _listed("inside", f"{snapshot_verbs.MANY} snapshots inside one image", snapshot_verbs.inside(host))
        every = snapshot_verbs.recorded(host, records.GUESTS, records.EACH)
        yield _listed("list", f"{records.GUESTS * records.EACH} snapshots over {records.GUESTS} guests", every)


def _creates(creates: snapshot_verbs.Creates) -> Iterator[Row]:
    turns = turns_of({"page": creates.page, "image": creates.image, "command": creates.command}, ROUNDS)
    step, image = median(creates.steps[1:]), median(turn["image"].wall for turn in turns)
    detail = f"{step * 1e3:.1f} ms / {image * 1e3:.1f} ms"
    yield Row("overlay", "the step that makes an overlay / `qemu-img create`", 1.2, step / image, None, "x", detail)
    more = extra([{**turn, "base": turn["page"] + turn["image"]} for turn in turns], "command", "base")
    page, command = (middle([turn[name] for turn in turns]) for name in ("page", "command"))
    detail = f"{_both(command)} - {_both(page)} - {image * 1e3:.1f} ms"
    what = "`snapshot create` beside `--help` and `qemu-img create`"
    yield Row("create", what, 120, more.wall * 1e3, more.cpu * 1e3, "ms", detail)


def _listed(name: str, what: str, listing: Child) -> Row:
    cost = interleaved({"list": listing}, FEW)["list"]
    return Row(name, f"`snapshot list` of {what}", 1.0, cost.wall, cost.cpu, "s", f"the median of {FEW}")


def guest_commands() -> Iterator[Row]:
    """`vfioctl guest` on a private libvirtd; needs what `snapshots` needs."""
    with guest_verbs.lab() as host:
        guest_verbs.pool(host)
        what = f"`guest list` of {guest_verbs.GUESTS} guests beside 1.3 x `virsh list --all`"
        yield _beyond("guest-list", what, 50, 1.3, turns_of(guest_verbs.listing(host), FEW))
        what = "`guest create` of a linked clone beside 1.5 x `qemu-img create` and `virsh define`"
        yield _beyond("guest-create", what, 350, 1.5, turns_of(guest_verbs.creating(host), ROUNDS))


def copies() -> Iterator[Row]:
    """The copies of `vfioctl volume`, while there are no guests to look at; needs what `snapshots` needs."""
    with guest_verbs.lab() as host:
        guest_verbs.pool(host)
        yield from _copies(host)


def _beyond(name: str, what: str, goal: float, factor: float, turns: list[dict[str, Cost]]) -> Row:
    """What the first of each turn takes beyond `factor` times all others together."""
    more = [ours.wall - factor * sum(cost.wall for cost in others) for ours, *others in (t.values() for t in turns)]
    ours, *others = (_both(middle([turn[name] for turn in turns])) for name in turns[0])
    return Row(name, what, goal, median(more) * 1e3, None, "ms", f"{ours} - {factor:g} x ({' + '.join(others)})")


def _copies(host: Any) -> Iterator[Row]:
    kept = guest_verbs.copying(host)
    turns = [{name: seconds() for name, seconds in kept.items()} for _ in range(FEW + 1)]
    # What disturbs a copy only makes it longer, as timeit has it.
    found = {name: min(turn[name] for turn in turns) for name in kept}
    for ours, base, what in (
        ("clone", "convert", "`volume clone`, the copy itself / `qemu-img convert`"),
        ("upload", "virsh", "`volume upload`, the transfer itself / `virsh vol-upload --sparse`"),
    ):
        detail = f"the fastest of {len(turns)}: {found[ours] * 1e3:.0f} ms / {found[base] * 1e3:.0f} ms"
        yield Row(ours, what, 1.1, found[ours] / found[base], None, "x", detail)
    small, large = (max(guest_verbs.peaks(host, size)) for size in (guest_verbs.SMALL, guest_verbs.LARGE))
    what = f"peak memory of `volume clone` or `upload` of {guest_verbs.LARGE} beside one of {guest_verbs.SMALL}"
    yield Row("copy-memory", what, 2, large - small, None, "MiB", f"{large:.1f} MiB - {small:.1f} MiB")


def missing(names: Iterable[str]) -> str:
    """What the cases `names` need and this machine lacks, in words; "" for nothing."""
    if not {"snapshots", "snapshot-commands", "guest-commands", "copies"} & set(names):
        return ""
    from vfioctl.virt.connection import is_installed

    absent = [name for name in ("qemu-img", "qemu-io") if shutil.which(name) is None]
    absent += [] if is_installed() else ["libvirt-python"]
    return snapshot_verbs.ring2.missing() or (f"snapshots and guests need {', '.join(absent)}" if absent else "")


CASES: dict[str, Callable[[], Iterator[Row]]] = {
    "shim": shim, "prepare": prepare, "looks": looks, "engine": engine, "programs": programs, "help": help_page,
    "completion": completion, "doctor": doctor, "devices": devices, "together": together, "snapshots": snapshots,
    "snapshot-commands": snapshot_commands, "guest-commands": guest_commands, "copies": copies,
}  # fmt: skip
