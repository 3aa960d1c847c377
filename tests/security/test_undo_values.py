"""The rendered undo under dash, with values that would like to be commands: nothing but what was planned is run."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from step_builders import GPU, planned
from txn_builders import plan

from vfioctl.handoff.undo_sh import render
from vfioctl.paths import Paths
from vfioctl.proc import Programs
from vfioctl.shell import quote
from vfioctl.txn.journal import Journal
from vfioctl.txn.machine import Machine
from vfioctl.txn.plan import Action
from vfioctl.txn.resources import Ledger
from vfioctl.txn.step import Condition

UUID = "11111111-2222-3333-4444-555555555555"
OTHER = "99999999-2222-3333-4444-555555555555"
CANARY = "canary"  # a value that is evaluated makes this file in the working directory
WEAPONS = (
    "$(touch canary)", "`touch canary`", "'; touch canary; '", '"; touch canary; "', "'$(touch canary)'",
    "; touch canary", "&& touch canary", "| touch canary", "> canary", "${x:-$(touch canary)}",
    "$((a[$(touch canary)]))", "\\'; touch canary #", "a\ntouch canary\n", "a\r\ntouch canary", "*", "~", "-rf", "--",
    "-", "%s%n", "\\", "'", "''", '"', "$", "$$", "$0", "#", "!", "!!", " ", "\t", "\x1b]0;owned\x07", "\x7f",
    "ゲスト", "\u202egnp", "\x9b2J", "\udcff", "n" * 250, "é" * 125, "=cmd", "IFS=x", "EOF", "}", "})", ")", "esac",
    ";;", "fi", "done", "<<x", "2>&1", "\\\n", "$'\\n'", "$GUEST",
)  # fmt: skip
RECORDER = """#!/bin/sh
printf '%s\\0' "$#" "${{0##*/}}" "$@" >>{calls}
[ "$1" != is-active ] && [ "$3" != is-active ]
"""
ANYTHING = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=20)
VALUES = st.lists(st.one_of(st.sampled_from(WEAPONS), ANYTHING), max_size=6).map("".join)
SINGLE = ("", "-", "--", "-rf", "*", "\n", "n" * 250, "\udcff")  # what does nothing in the middle of a word


def name_of(value: str) -> str:
    """`value` as a guest can be called: no slash, no line break, not too long."""
    return os.fsdecode(os.fsencode(value.replace("/", "").replace("\n", ""))[:250]).strip(".") or "x"


class Bench:
    """A machine of plain files whose programs write down how they were called."""

    def __init__(self, root: Path) -> None:
        self.root, self.calls = root, root / "calls"
        self.machine = Machine(Paths(str(root)), Programs(str(root / "usr/bin")))
        for directory in ("usr/bin", "proc", f"sys/bus/pci/devices/{GPU}", "sys/class/vtconsole/vtcon1", "work"):
            (root / directory).mkdir(parents=True)
        for file, text in (
            (f"bus/pci/devices/{GPU}/driver_override", "other\n"), ("bus/pci/drivers_probe", ""),
            ("attribute", "other\n"),
            ("class/vtconsole/vtcon1/name", "other\n"), ("class/vtconsole/vtcon1/bind", "1\n"),
        ):  # fmt: skip
            (root / "sys" / file).write_text(text)
        for name in ("systemctl", "modprobe", "planned"):
            (root / "usr/bin" / name).write_text(RECORDER.format(calls=quote(str(self.calls))))
            (root / "usr/bin" / name).chmod(0o755)

    def steps(self, value: str):
        """One step of each kind that has an undo, with `value` wherever a name or a value can stand."""
        machine, card = self.machine, {"address": GPU}
        return [
            planned(machine, "driver.override", {**card, "value": value}, id=value, baseline={"value": value}),
            planned(machine, "driver.bind", {**card, "driver": value}, baseline={"driver": value}),
            planned(machine, "module.unload", {"modules": [value], "devices": [GPU]}, deadline=1,
                    baseline={"modules": [value], "drivers": {GPU: value}}),
            planned(machine, "unit.stop", {"unit": value}, baseline={"active": True}),
            planned(machine, "unit.stop", {"unit": value, "uid": 1000}, baseline={"active": True}),
            planned(machine, "unit.start", {"unit": value}, baseline={"active": False}),
            planned(machine, "vtconsole.unbind", {"name": value}, baseline={"bound": True}),
            planned(machine, "sysfs.write", {"path": "/sys/attribute", "value": "1"}, baseline={"value": value}),
            planned(machine, "sysfs.write", {"path": f"/sys/{value}", "value": "1"}, baseline={"value": value}),
            planned(machine, "inhibit.sleep", {"who": value, "why": value}),
            planned(machine, "command.run", {"argv": ["x"], "undo_argv": ["planned", value, value]}),
        ]  # fmt: skip

    def back(self, value: str):
        return (
            Condition("path.exists", {"path": f"/{value}"}), Condition("path.absent", {"path": f"/x{value}"}),
            Condition("path.equals", {"path": f"/{value}", "value": value}),
            Condition("link.target", {"path": f"/{value}", "name": value}), Condition("module.gone", {"module": value}),
            Condition("unit.state", {"unit": value, "state": "active"}),
        )  # fmt: skip

    def begun(self, steps):
        """`steps`, which the journal says were begun: what is undone by a program is undone only then."""
        with Journal(self.machine.paths, UUID) as journal:
            journal.begin(plan(*steps, uuid=UUID), "boot")
            for step in steps:
                journal.intent(Action.APPLY, step)
        return steps

    def run(self, script: str, guest: str) -> None:
        """Run the undo of `guest`; nothing may be said and it ends with its own status."""
        marks = Path(self.machine.paths.guest_markers(guest))
        marks.mkdir(parents=True)
        path = marks / "undo.sh"
        path.write_bytes(script.encode(errors="surrogateescape"))
        done = subprocess.run(
            ["dash", path], cwd=self.root / "work", capture_output=True, check=False, env={}, timeout=60,
        )  # fmt: skip
        assert (done.stdout, done.stderr) == (b"", b"")
        assert (marks / "undone-by-sh").read_text() == f"{done.returncode}\n"

    def called(self) -> set[tuple[str, ...]]:
        """Each call of a program, word by word."""
        said = self.calls.read_bytes().decode(errors="surrogateescape") if self.calls.exists() else ""
        words, found = said.split("\0")[:-1], set()
        while words:
            length = int(words[0]) + 2
            found.add(tuple(words[1:length]))
            words = words[length:]
        return found

    def log(self) -> bytes:
        return Path(self.machine.paths.log, f"undo-{UUID}.log").read_bytes()


def expected(value: str) -> set[tuple[str, ...]]:
    """The only calls that the plan allows."""
    user = ("--user", "--machine=1000@.host")
    verbs = (("is-active", "--quiet", "--"), ("reset-failed", "--"), ("start", "--"), ("stop", "--"))
    units = {("systemctl", *who, *verb, value) for who in ((), user) for verb in verbs}
    inhibitors = {("systemctl", *verb, unit) for verb in verbs for unit in inhibitor_units(value)}
    return {*units, *inhibitors, ("modprobe", value.replace("-", "_")), ("planned", value, value),
            ("systemctl", "is-active", "--quiet", "--", "user@1000.service")}  # fmt: skip


def inhibitor_units(value: str) -> set[str]:
    machine = Machine(Paths("/nowhere"), None)
    step = planned(machine, "inhibit.sleep", {"who": value, "why": value})
    return set(re.findall(r"vfioctl-inhibit[\w.-]*", "".join(_rendered(step, machine))))


def _rendered(step, machine: Machine):
    from vfioctl.txn.kind import kind

    return kind(step.kind).render_undo(step, machine.paths)


@settings(max_examples=8, deadline=None)  # each takes more than a second, of sleeps in the script
@given(value=VALUES, guest=VALUES.map(name_of))
def test_no_value_of_a_plan_is_run_by_its_undo(tmp_path_factory, value: str, guest: str):
    run_with(tmp_path_factory, value, guest)


@pytest.mark.parametrize("value", [*SINGLE, "".join(WEAPONS)], ids=lambda value: repr(value[:9]))
def test_no_such_value_is_run_by_its_undo(tmp_path_factory, value: str):
    run_with(tmp_path_factory, value, name_of(value))


def run_with(tmp_path_factory, value: str, guest: str) -> None:
    bench = Bench(tmp_path_factory.mktemp("root") / "it's a $(touch canary) root")
    steps, back = bench.begun(bench.steps(value)), bench.back(value)
    script = render(guest, UUID, steps, bench.machine.paths, back=back, patience=0.1)
    bench.run(script, guest)
    assert list((bench.root / "work").iterdir()) == [], "a value was evaluated"
    assert bench.called(), "the programs of this machine are not reached"
    assert bench.called() - expected(value) == set()
    assert re.fullmatch(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ [ -~]*\n)+", bench.log())


def test_every_value_does_reach_its_program_as_it_is(tmp_path):
    value = "'; touch canary; '$(touch canary)\n-x"
    bench = Bench(tmp_path / "root")
    bench.run(render("guest", UUID, bench.begun(bench.steps(value)), bench.machine.paths), "guest")
    module = value.replace("-", "_")
    assert {("planned", value, value), ("modprobe", module), ("systemctl", "start", "--", value)} <= bench.called()


@pytest.mark.parametrize(
    "name",
    ['"22222222-2222-3333-4444-55555555555": ', '"22222222-2222-3333-4444-555555555555": ', '"holders": {', "}", '": '],
)
def test_no_name_of_a_guest_keeps_its_devices_from_coming_home(tmp_path, name: str):
    """The undo reads the ledger with the means of a shell; a name must not look like the UUID of another guest."""
    bench = Bench(tmp_path / "root")
    step = planned(bench.machine, "command.run", {"argv": ["x"], "undo_argv": ["planned"]})
    Ledger(bench.machine.paths).join(step, UUID, name)
    bench.run(render(name, UUID, bench.begun([step]), bench.machine.paths), name)
    assert bench.called() == {("planned",)}


@pytest.mark.parametrize("name", ["}", '"', "\\", '\\"', "22222222-2222-3333-4444-555555555555"])
def test_no_name_of_a_guest_takes_from_another_what_that_one_needs(tmp_path, name: str):
    bench = Bench(tmp_path / "root")
    step = planned(bench.machine, "command.run", {"argv": ["x"], "undo_argv": ["planned"]})
    for uuid, guest in ((UUID, name), (OTHER, name)):
        Ledger(bench.machine.paths).join(step, uuid, guest)
    bench.run(render(name, UUID, [step], bench.machine.paths), name)
    assert bench.called() == set()
