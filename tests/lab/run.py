"""Runs scenarios one after the other, each on a fresh overlay of a saved machine, and says a line for each."""

from __future__ import annotations

import os
import shutil
import sys
import time
from dataclasses import dataclass, field

from tests.lab import payload, sources, state, tree
from tests.lab.errors import LabError
from tests.lab.inside.scenario import Scenario
from tests.lab.machine import COPY, Machine
from tests.lab.session import Event, Order, Session

SLACK = 4.0


@dataclass(slots=True)
class Result:
    """What a scenario said and how it ended."""

    scenario: Scenario
    verdict: str = "failed"
    why: str = ""
    seconds: float = 0.0
    keep: str = ""
    checks: list[Event] = field(default_factory=list)
    times: dict[str, float] = field(default_factory=dict)
    figures: Event = field(default_factory=dict)

    def hear(self, event: Event) -> None:
        if event["event"] == "check":
            self.checks.append(event)
            say(check_line(event))
        elif event["event"] == "time":
            self.times[event["name"]] = event["seconds"]
        elif event["event"] == "figures":
            self.figures = event
        elif event["event"] == "note":
            say(f"              {event['text']}")

    def line(self) -> str:
        said = f"{self.scenario.name}: {self.verdict} in {self.seconds:.0f} s"
        first = self.why.partition("\n")[0]
        return said if self.verdict == "passed" else f"{said}: {first}"


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def check_line(event: Event) -> str:
    word = {"passed": "ok  ", "failed": "FAIL"}[event["verdict"]]
    return f"  {word} {event['seconds']:6.2f} s  {event['name']}{': ' if event['said'] else ''}{event['said']}"


def run(scenario: Scenario, place: state.Place, *, keep_all: bool) -> Result:
    """One scenario; a machine that dies or hangs fails it, with the reason."""
    result = Result(scenario, keep=os.path.join(place.keep, scenario.name))
    say(f"{scenario.name}: {scenario.title}")
    shutil.rmtree(result.keep, ignore_errors=True)
    os.makedirs(result.keep)
    disk, copy, tar = (place.cache.path(f"running{name}") for name in (".qcow2", "-copy.qcow2", ".tar"))
    begun = time.monotonic()
    try:
        machine = _machine(scenario, place, disk, copy, tar)
        deadline = SLACK * scenario.seconds * place.patience
        order = Order(scenario.module, scenario.body, deadline, place.patience, {})
        with Session(machine, result.keep, place.pidfile, result.hear) as session:
            last = session.run(order)
        result.verdict, result.why = last["verdict"], last["why"]
    except LabError as error:
        result.why = str(error)
    finally:
        for path in (disk, copy, tar):
            _remove(path)
    result.seconds = time.monotonic() - begun
    if result.verdict == "passed" and not keep_all:
        shutil.rmtree(result.keep)
    _say_end(result)
    return result


def _remove(path: str) -> None:
    if os.path.exists(path):
        os.unlink(path)


def _machine(scenario: Scenario, place: state.Place, disk: str, copy: str, tar: str) -> Machine:
    saved = state.base(place) if scenario.start == "base" else state.installed(place)
    place.cache.needs_space(1.0, "the disk of a running lab")
    copies = [copy] if any(f"drive={COPY}" in device for device in scenario.devices) else []
    for path in (disk, *copies):
        _remove(path)
        state.overlay(path, f"{saved}/disk.qcow2")
    lab_image = place.image()
    payload.write(tar, wheels=place.wheels, standins=_standins(place, lab_image) if scenario.standins else "")
    resumed = "" if scenario.start == "boot" else f"{saved}/state.zst"
    return Machine(
        lab_image, disk, tar, "", state=resumed, append=scenario.append, devices=scenario.devices, copy="".join(copies)
    )  # fmt: skip


def _standins(place: state.Place, lab_image: str) -> str:
    from tests.lab.standins import build

    with open(os.path.join(lab_image, "kernel-release"), encoding="ascii") as file:
        kernel = file.read().strip()

    def compiler() -> list[str]:
        found = tree.compiler(place.cache, place.suite, build.packages(kernel), place.patience)
        return tree.inside(found, place.cache.directory)

    own = place.suite == sources.own_suite()
    return build.built(place.cache.directory, kernel, None if own else compiler)


def _say_end(result: Result) -> None:
    name = result.scenario.name
    if result.verdict == "passed":
        say(f"passed {name}: {len(result.checks)} checks, {result.seconds:.0f} s")
        return
    say(f"FAILED {name}: {result.seconds:.0f} s. {result.why}\nlogs, journal, pictures: {result.keep}")
