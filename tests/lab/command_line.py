"""The lab's command line: what is asked for, and how the run ends. Prints; starts nothing itself."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import tempfile
import time
from typing import NoReturn

from tests.bench.lab import page
from tests.lab import process, record, run, shards, sources, state, tree
from tests.lab.cache import Cache
from tests.lab.errors import CannotRun, LabError
from tests.lab.inside import scenario
from tests.lab.standins import build

PROGRAMS = {
    "mmdebstrap": "mmdebstrap",
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-img": "qemu-utils",
    "zstd": "zstd",
    "mke2fs": "e2fsprogs",
    "setpriv": "util-linux",
    "apt-cache": "apt",
    "gcc": "gcc",
    "make": "make",
    "strip": "binutils",
}
CANNOT_RUN = 2


def main() -> int:
    options = _arguments()
    if options.command == "list":
        for each in scenario.every():
            run.say(f"{each.name:36} {each.seconds:4} s  {each.title}")
        return 0
    if options.command == "tree":
        return _tree(options)
    if options.command == "packages":
        run.say(" ".join(sorted({*PROGRAMS.values(), build.HEADERS})))
        return 0
    signal.signal(signal.SIGTERM, _interrupted)
    try:
        return _run(options)
    except CannotRun as reason:
        run.say(f"lab: cannot run here. {reason}")
        _summarize(options, f"the lab cannot run here. {reason}")
        return CANNOT_RUN
    except LabError as error:
        run.say(f"lab: {error}\nwhat it left: {options.keep}")
        _summarize(options, str(error).partition("\n")[0])
        return 1
    except KeyboardInterrupt:
        run.say("lab: interrupted; its machine has ended.")
        return 1


def _tree(options: argparse.Namespace) -> int:
    try:
        cache = Cache(options.cache)
        with cache.locked(lambda: None):
            run.say(tree.for_tests(cache, sources.suite_of(options.debian), options.packages, options.patience))
    except (CannotRun, LabError) as error:
        run.say(str(error))
        return 1
    return 0


def _interrupted(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def _run(options: argparse.Namespace) -> int:
    chosen = _chosen(options)
    _check_computer(options)
    suite = sources.suite_of(options.debian)
    place = state.Place(Cache(options.cache), suite, options.wheels, options.patience, options.keep, _hear)
    with place.cache.locked(lambda: run.say("lab: another run has the lab; waiting for its end")):
        if stale := process.end_stale(place.pidfile):
            run.say(f"lab: {stale}")
        begun = time.monotonic()
        state.installed(place)
        run.say(f"lab: the machine is ready after {time.monotonic() - begun:.0f} s")
        results = [_one(each, place, options) for each in chosen]
    _write_pages(options, results, place.image())
    return _report(options, results, time.monotonic() - begun)


def _one(each: scenario.Scenario, place: state.Place, options: argparse.Namespace) -> run.Result:
    result = run.run(each, place, keep_all=options.keep_all)
    _summarize(options, result.line())
    return result


def _write_pages(options: argparse.Namespace, results: list[run.Result], lab_image: str) -> None:
    """Those that were asked for. The commit is asked for before any page is itself a change."""
    commit, versions = record.commit(), record.versions(lab_image)
    if options.record:
        record.add(options.record, results, commit, versions)
    for result in results:
        if options.figures and result.figures and result.verdict == "passed":
            page.put(options.figures, result.figures, commit, versions)


def _summarize(options: argparse.Namespace, text: str) -> None:
    if options.summary:
        with open(options.summary, "a", encoding="utf-8") as file:
            file.write(f"{text}\n")


def _chosen(options: argparse.Namespace) -> list[scenario.Scenario]:
    try:
        chosen = shards.named(options.scenarios, scenario.every()) if options.scenarios else _drawn(options)
        return shards.part(options.part, chosen) if options.part else chosen
    except ValueError as error:
        raise LabError(str(error)) from None


def _drawn(options: argparse.Namespace) -> list[scenario.Scenario]:
    said = f"smoke and the shard of seed {options.seed}"
    run.say(f"lab: {said}")
    _summarize(options, said)
    return shards.drawn(options.seed, scenario.every())


def _check_computer(options: argparse.Namespace) -> None:
    if os.geteuid() != 0:
        raise CannotRun("The lab needs root: its disk image is made of files that belong to root.")
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    missing = sorted({package for name, package in PROGRAMS.items() if not shutil.which(name, path=path)})
    if missing:
        raise CannotRun(f"Packages are missing: apt-get install --no-install-recommends {' '.join(missing)}")
    if not any(name.startswith("vfioctl-") for name in _names(options.wheels)):
        raise CannotRun(f"There are no wheels of vfioctl in {options.wheels}; contrib/test.sh --lab makes them.")


def _names(directory: str) -> list[str]:
    return os.listdir(directory) if os.path.isdir(directory) else []


def _hear(event: dict[str, object]) -> None:
    if event["event"] == "check":
        run.say(run.check_line(event))


def _report(options: argparse.Namespace, results: list[run.Result], seconds: float) -> int:
    failed = [result for result in results if result.verdict != "passed"]
    run.say("")
    for result in results:
        run.say(f"{result.verdict:7} {result.seconds:6.1f} s  {result.scenario.name}")
    said = f"lab: {len(results) - len(failed)} scenarios passed, {len(failed)} failed in {seconds:.0f} s"
    names = ", ".join(result.scenario.name for result in failed)
    run.say(f"{said}: {names}; what they left: {options.keep}" if failed else said)
    return 1 if failed else 0


def _arguments() -> argparse.Namespace:
    arguments = argparse.ArgumentParser(prog="python -m tests.lab", description=__doc__)
    commands = arguments.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="the scenarios, with the seconds they take")
    commands.add_parser("packages", help="the Debian packages that this computer needs")
    trees = commands.add_parser("tree", help="make or find a Debian tree with packages, and print its directory")
    trees.add_argument("packages", nargs="*")
    runs = commands.add_parser("run", help="run scenarios")
    for parser in (trees, runs):
        parser.add_argument("--cache", required=True, help="directory for trees, images and saved machines")
        parser.add_argument("--debian", metavar="NUMBER", default="", help="another Debian than this computer's, as 13")
        parser.add_argument("--patience", type=float, default=1.0, help="multiplies every deadline, on a busy computer")
    runs.add_argument("scenarios", nargs="*", metavar="SCENARIO", help="names, families, all; else smoke and a shard")
    runs.add_argument("--wheels", required=True, help="directory with the wheels to install")
    runs.add_argument("--part", metavar="N/M", help="of what is named, the Nth of M parts of equal time")
    runs.add_argument("--seed", default="0", help="draws the shard")
    runs.add_argument("--keep", help="where logs and pictures of failures go")
    runs.add_argument("--keep-all", action="store_true", help="keep those of scenarios that passed, too")
    runs.add_argument("--record", metavar="FILE", help="add a dated result to this page")
    runs.add_argument("--figures", metavar="FILE", help="put what the benchmark measures into this page")
    runs.add_argument("--summary", metavar="FILE", help="write a line for each scenario here, as it ends")
    options = arguments.parse_args()
    if options.command == "run":
        options.keep = os.path.abspath(options.keep or tempfile.mkdtemp(prefix="vfioctl-lab-kept-"))
    return options
