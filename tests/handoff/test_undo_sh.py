"""The rendered undo.sh, run by dash against the simulated kernel: it brings home what Python gave, alone."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import time
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from step_builders import AUDIO, GPU, OPERATION, planned, program
from txn_builders import plan

from vfioctl.errors import DeadlineExceeded
from vfioctl.files import Lock
from vfioctl.handoff.undo_sh import render
from vfioctl.host.stuck import read_stuck
from vfioctl.kinds import MODULES
from vfioctl.kinds.common import driver_of, read_override
from vfioctl.kinds.kernel.sysfs_write import read_value
from vfioctl.paths import Paths
from vfioctl.testing import scenarios
from vfioctl.testing.host import FakeHost
from vfioctl.testing.model import FakeProcess
from vfioctl.txn.journal import Journal
from vfioctl.txn.kind import kind
from vfioctl.txn.machine import Machine
from vfioctl.txn.plan import Action
from vfioctl.txn.resources import Ledger
from vfioctl.txn.step import Condition, Lifetime, Scope, State
from vfioctl.wait import until

UUID = "11111111-2222-3333-4444-555555555555"
HOSTILE = "-win 11's \"$(reboot)\" `x` ゲスト\\"
VFIO = "vfio-pci"
UNLOAD = ("module.unload", {"modules": ["nvidia_drm", "nvidia_modeset", "nvidia_uvm", "nvidia"], "devices": [GPU]})
DESKTOP = ("unit.stop", {"unit": "lightdm.service"})


def giving(address):
    """What moves a function to vfio-pci."""
    params = {"address": address}
    return ("driver.override", {**params, "value": VFIO}), ("driver.bind", {**params, "driver": VFIO})


@pytest.fixture
def boot(tmp_path):
    running = []

    def start(spec):
        host = FakeHost(spec, tmp_path / "it's a $HOME")
        host.start()
        running.append(host)
        return Bench(host)

    yield start
    for host in running:
        host.stop()


class Bench:
    """One machine, the steps that were applied on it, and its undo.sh."""

    def __init__(self, fake: FakeHost) -> None:
        self.fake = fake
        self.machine = Machine(fake.paths, fake.programs)
        self.steps = []
        for holder in self.machine.host().holders((AUDIO,)):
            fake.kernel.end_process(holder.pid)

    def plan(self, *wishes, deadline=3.0):
        """Plan steps from the facts of now, as the planner does before anything is touched."""
        self.steps = [
            planned(self.machine, name, params, id=f"{name} {number}", deadline=deadline)
            for number, (name, params) in enumerate(wishes)
        ]

    def apply(self, *wishes, deadline=3.0):
        """Plan the steps and do them."""
        self.plan(*wishes, deadline=deadline)
        with Journal(self.machine.paths, UUID) as journal:
            journal.begin(plan(*self.steps, uuid=UUID), "boot")
            for step in self.steps:
                journal.intent(Action.APPLY, step)
                kind(step.kind).guard(step, self.machine)
                kind(step.kind).apply(step, self.machine)
                journal.done(Action.APPLY, step)

    def journal(self, *words):
        """Nothing but these words of the journal about each of the steps, which nobody has done."""
        with Journal(self.machine.paths, UUID) as journal:
            journal.begin(plan(*self.steps, uuid=UUID), "boot")
            for step, word in itertools.product(self.steps, words):
                getattr(journal, word)(Action.APPLY, step, *(("why",) if word == "refused" else ()))

    def script(self, back=(), guest=HOSTILE):
        text = render(guest, UUID, reversed(self.steps), self.machine.paths, back=back, patience=1.0)
        path = os.path.join(self.marks(guest), "undo.sh")
        os.makedirs(self.marks(guest), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def marks(self, guest=HOSTILE):
        return self.machine.paths.guest_markers(guest)

    def run(self, back=()):
        """Run it as the shim does; its exit status."""
        done = subprocess.run(
            ["env", "-i", "PATH=/nowhere", shutil.which("dash"), self.script(back)],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        assert (done.stdout, done.stderr) == ("", "")
        return done.returncode

    def log(self):
        with open(os.path.join(self.machine.paths.log, f"undo-{UUID}.log"), encoding="utf-8") as file:
            return file.read()

    def states(self):
        return {step.id: kind(step.kind).probe(step, self.machine) for step in self.steps}

    def drivers(self):
        return driver_of(self.machine.paths, GPU), driver_of(self.machine.paths, AUDIO)


def test_every_step_of_an_nvidia_hand_off_is_undone_in_one_run(boot):
    bench = boot(scenarios.two_gpu())
    bench.apply(
        ("inhibit.sleep", {"who": HOSTILE, "why": "it's \"his\""}), DESKTOP,
        ("vtconsole.unbind", {"name": "frame buffer device"}),
        ("sysfs.write", {"path": f"/sys/bus/pci/devices/{GPU}/d3cold_allowed", "value": "0"}),
        UNLOAD, *giving(GPU), *giving(AUDIO),
    )  # fmt: skip
    assert bench.drivers() == (VFIO, VFIO)
    assert bench.run() == 0
    assert set(bench.states().values()) == {State.BEFORE}
    assert bench.drivers() == ("nvidia", "snd_hda_intel")
    assert "FAILED" not in bench.log()
    with open(os.path.join(bench.marks(), "undone-by-sh"), encoding="utf-8") as file:
        assert file.read() == "0\n"


def test_running_it_twice_writes_nothing_the_second_time(boot):
    bench = boot(scenarios.generic_nic())
    bench.apply(*giving(GPU))
    assert bench.run() == 0
    bench.fake.kernel.clear_log()
    assert bench.run() == 0
    assert bench.fake.kernel.writes() == []
    assert bench.drivers()[0] == "igb"
    assert read_override(bench.machine, GPU) is None


@pytest.mark.parametrize("done", range(5))
def test_it_finishes_what_python_has_undone_in_part(boot, done):
    bench = boot(scenarios.two_gpu())
    bench.apply(UNLOAD, *giving(GPU), *giving(AUDIO))
    for step in [*reversed(bench.steps)][:done]:
        kind(step.kind).undo(step, bench.machine)
    assert bench.run() == 0
    assert set(bench.states().values()) == {State.BEFORE}


@pytest.mark.parametrize("applied", range(4))
def test_python_probes_before_after_a_run_on_a_start_that_was_cut_short(boot, applied):
    """SIGKILL after some steps: the script holds them all, and the machine decides."""
    bench = boot(scenarios.two_gpu())
    bench.plan(UNLOAD, *giving(GPU))
    for step in bench.steps[:applied]:
        kind(step.kind).apply(step, bench.machine)
    assert bench.run() == 0
    assert set(bench.states().values()) == {State.BEFORE}


def test_an_error_is_collected_and_the_rest_is_undone(boot):
    bench = boot(scenarios.two_gpu())
    bench.apply(DESKTOP, UNLOAD, *giving(AUDIO))
    bench.fake.kernel.fail_program("modprobe", 1, arguments="nvidia_uvm")
    assert bench.run() == 1
    assert "FAILED: module nvidia_uvm was not loaded" in bench.log()
    assert bench.fake.kernel.units()["system/lightdm.service"]["active"] == "active"
    assert bench.drivers()[1] == "snd_hda_intel"
    with open(os.path.join(bench.marks(), "undone-by-sh"), encoding="utf-8") as file:
        assert file.read() == "1\n"
    assert bench.run() == 0
    assert set(bench.states().values()) == {State.BEFORE}


def test_a_value_that_the_kernel_takes_no_more_is_a_failure_unless_it_may_stay(boot):
    bench = boot(scenarios.single_gpu_amdgpu_desktop())
    wish = {"path": f"/sys/bus/pci/devices/{GPU}/reset_method", "value": "device_specific"}
    bench.plan(("sysfs.write", wish), ("sysfs.write", {**wish, "may_stay": True}))
    strict, lenient = bench.steps
    kind(strict.kind).apply(strict, bench.machine)
    bench.steps = [lenient]
    assert bench.run() == 0
    assert f"{GPU}: writing 'device_specific bus'" in bench.log()
    bench.steps = [strict]
    assert bench.run() != 0
    assert bench.log().count("FAILED") == 1


def test_a_console_that_the_kernel_binds_no_more_is_said_and_no_failure(boot):
    bench = boot(replace(scenarios.single_gpu_amdgpu_desktop(), system_console=False))
    bench.apply(("vtconsole.unbind", {"name": "frame buffer device"}))
    assert bench.run() == 0
    assert "binds the frame buffer device no more" in bench.log()


def test_a_device_that_libvirt_has_given_back_is_left_alone(boot):
    bench = boot(scenarios.generic_nic())
    bench.apply(*giving(GPU))
    kind("driver.bind").undo(bench.steps[1], bench.machine)
    kind("driver.override").undo(bench.steps[0], bench.machine)
    bench.fake.kernel.clear_log()
    assert bench.run() == 0
    assert bench.fake.kernel.writes() == []


def test_a_write_that_never_returns_is_recorded_and_the_device_is_left_alone(boot):
    bench = boot(scenarios.two_gpu())
    bench.apply(DESKTOP, *giving(AUDIO), deadline=1.0)
    bench.fake.kernel.hang_write("/sys/bus/pci/drivers/vfio-pci/unbind")
    began = time.monotonic()
    assert bench.run() == 1
    assert time.monotonic() - began < 10
    stuck = read_stuck(bench.machine.paths, AUDIO)
    assert stuck is not None
    assert (stuck.value, stuck.path.endswith("/vfio-pci/unbind")) == (AUDIO, True)
    assert bench.fake.kernel.units()["system/lightdm.service"]["active"] == "active"
    bench.fake.kernel.clear_log()
    began = time.monotonic()
    assert bench.run() == 1
    assert time.monotonic() - began < 10, "the write that hangs does not keep the guest's lock"
    assert bench.log().count(f"FAILED: {AUDIO} is stuck in the kernel") == 3
    assert bench.fake.kernel.writes() == []
    bench.fake.kernel.release()
    assert until(lambda: read_stuck(bench.machine.paths, AUDIO) is None, 5)


def test_a_device_that_a_guest_still_has_open_is_not_taken_from_it(boot):
    bench = boot(scenarios.generic_nic())
    bench.apply(*giving(GPU), deadline=0.5)
    pid = bench.fake.kernel.add_process(FakeProcess("qemu-system-x86", opens=("/dev/vfio/14",)))
    assert bench.run() == 1
    assert f"FAILED: {GPU} is still open in a process: {pid} (qemu-system-x86)" in bench.log()
    assert bench.drivers()[0] == VFIO
    bench.fake.kernel.end_process(pid)
    assert bench.run() == 0


@pytest.mark.parametrize(("home", "left"), [("igb", "0"), (None, "0"), ("vfio-pci", "1")])
def test_a_value_that_waits_for_its_function_stays_while_a_guest_has_that(boot, home, left):
    bench = boot(scenarios.generic_nic())
    path = f"/sys/bus/pci/devices/{GPU}/d3cold_allowed"
    bench.apply(("sysfs.write", {"path": path, "value": "0", "home": home}), *giving(GPU), deadline=0.5)
    pid = bench.fake.kernel.add_process(FakeProcess("qemu-system-x86", opens=("/dev/vfio/14",)))
    assert bench.run() == 1
    assert read_value(bench.machine.paths, path) == left
    assert (f"FAILED: {GPU} is still on vfio-pci: {path}" in bench.log()) == (left == "0")
    bench.fake.kernel.end_process(pid)
    assert bench.run() == 0
    assert set(bench.states().values()) == {State.BEFORE}


def test_it_waits_for_whoever_holds_the_guests_lock(boot):
    bench = boot(scenarios.generic_nic())
    bench.apply(*giving(GPU))
    lock = Lock(os.path.join(bench.machine.paths.locks, f"guest-{UUID}.lock"))
    lock.acquire()
    child = subprocess.Popen(["dash", bench.script()], stdin=subprocess.DEVNULL)
    log = os.path.join(bench.machine.paths.log, f"undo-{UUID}.log")
    assert until(lambda: os.path.exists(log), 5)
    assert bench.drivers()[0] == VFIO
    lock.release()
    assert child.wait(30) == 0
    assert bench.drivers()[0] == "igb"


def test_conditions_that_hold_are_said_and_one_that_does_not_fails_the_run(boot, monkeypatch):
    bench = boot(scenarios.generic_nic())
    bench.apply(*giving(GPU))
    link = f"/sys/bus/pci/devices/{GPU}/driver"
    good = (
        Condition("link.target", {"path": link, "name": "igb"}),
        Condition("path.exists", {"path": link}),
        Condition("path.absent", {"path": "/sys/nowhere"}),
        Condition("module.gone", {"module": "nvidia-drm"}),
        Condition("path.equals", {"path": f"/sys/bus/pci/devices/{GPU}/d3cold_allowed", "value": "1"}),
        Condition("unit.state", {"unit": "nowhere.service", "state": "inactive"}),
        Condition("has.holder", {"addresses": [GPU]}),
    )
    assert bench.run(good) == 0
    assert f"{link} points to igb" in bench.log()
    bad = (Condition("path.exists", {"path": "/sys/nowhere"}),)
    assert bench.run(bad) == 1
    assert "FAILED: not so: /sys/nowhere exists" in bench.log()


def test_a_log_that_cannot_be_written_does_not_stop_it(boot):
    bench = boot(scenarios.generic_nic())
    bench.apply(*giving(GPU))
    shutil.rmtree(bench.machine.paths.at("var/log"))
    with open(bench.machine.paths.at("var/log"), "w", encoding="utf-8"):
        pass
    assert bench.run() == 0
    assert bench.drivers()[0] == "igb"


def test_a_command_is_undone_by_its_own_command_below_the_root(boot):
    bench = boot(scenarios.generic_nic())
    said = bench.machine.paths.at("run/said")
    path = bench.machine.paths.at("usr/bin/mark")
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"#!/bin/sh\nprintf '%s;' \"$@\" >\"{said.replace('$', chr(92) + '$')}\"\n")
    os.chmod(path, 0o755)
    bench.apply(("command.run", {"argv": ["mark", "on"], "undo_argv": ["/usr/bin/mark", HOSTILE, ""]}))
    assert bench.run() == 0
    with open(said, encoding="utf-8") as file:
        assert file.read() == f"{HOSTILE};;"


COMMAND = ("command.run", {"argv": ["mark", "on"], "undo_argv": ["mark", "off"]})


@pytest.mark.parametrize(
    ("words", "runs"),
    [((), False), (("intent",), True), (("intent", "refused"), False), (("intent", "done"), True),
     (("intent", "refused", "intent"), True), (("intent", "done", "intent", "refused"), True)],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else None,
)
@pytest.mark.parametrize("lifetime", Lifetime)
def test_a_command_is_undone_only_when_it_was_begun(boot, words, runs, lifetime):
    bench = boot(scenarios.generic_nic())
    said = bench.machine.paths.at("run/said")
    program(bench.machine, "mark", f'echo "$@" >"{said.replace("$", chr(92) + "$")}"')
    bench.plan(COMMAND)
    bench.steps = [replace(step, id=f"{HOSTILE} {step.id}", lifetime=lifetime) for step in bench.steps]
    bench.journal(*words)
    assert bench.run() == 0
    assert os.path.exists(said) is runs


def test_what_was_refused_is_left_as_somebody_else_has_made_it(boot):
    bench = boot(scenarios.single_gpu_nvidia_desktop(logged_in=False))
    bench.plan(DESKTOP)
    bench.journal("intent", "refused")
    bench.fake.programs.run(("systemctl", "stop", "lightdm.service"), deadline=5)
    assert bench.run() == 0
    assert bench.fake.kernel.units()["system/lightdm.service"]["active"] == "inactive"
    assert "it has changed nothing" in bench.log()


def test_what_another_guest_has_left_to_this_one_is_undone_although_it_was_refused(boot):
    bench = boot(scenarios.single_gpu_nvidia_desktop(logged_in=False))
    bench.plan(DESKTOP)
    bench.journal("intent", "refused")
    ledger = Ledger(bench.machine.paths)
    for uuid in (OTHER, UUID):
        ledger.join(bench.steps[0], uuid, HOSTILE)
    ledger.leave(bench.steps[0], OTHER)
    bench.fake.programs.run(("systemctl", "stop", "lightdm.service"), deadline=5)
    assert bench.run() == 0
    assert bench.fake.kernel.units()["system/lightdm.service"]["active"] == "active"


def test_a_unit_whose_user_manager_has_ended_is_not_a_failure(boot):
    bench = boot(scenarios.single_gpu_amdgpu_desktop())
    bench.apply(("unit.stop", {"unit": "pipewire.service", "uid": 1000}))
    bench.fake.kernel.fail_program("systemctl", 1, arguments="--user --machine=1000@.host start -- pipewire.service")
    bench.fake.kernel.fail_program("systemctl", 3, arguments="is-active --quiet -- user@1000.service")
    assert bench.run() == 0
    assert "went with the user manager of 1000" in bench.log()


@pytest.mark.parametrize(("stopped", "said"), [(False, "goes on"), (True, "has no main process")])
def test_a_unit_that_is_held_goes_on_where_it_still_runs(boot, stopped, said):
    bench = boot(scenarios.single_gpu_nvidia_desktop(logged_in=False))
    bench.apply(("unit.hold", DESKTOP[1]))
    if stopped:
        bench.fake.programs.run(("systemctl", "stop", "lightdm.service"), deadline=5)
    assert bench.run() == 0
    assert f"lightdm.service {said}" in bench.log()
    assert not any(process["paused"] for process in bench.fake.kernel.processes())


@pytest.mark.parametrize(("unit", "killed"), [("lightdm.service", True), ("nvidia-persistenced.service", False)])
def test_a_stop_that_does_not_end_is_an_obstacle_of_services_only(boot, unit, killed):
    """A display manager is killed for its start; a service may have data to write."""
    bench = boot(scenarios.single_gpu_nvidia_desktop(logged_in=False))
    bench.plan(("unit.stop", {"unit": unit}))
    bench.journal("intent")
    bench.fake.kernel.set_unit(unit, ignores_term=True)
    with pytest.raises(DeadlineExceeded):
        bench.fake.programs.run(("systemctl", "stop", "--", unit), deadline=0.2)
    assert bench.run() == (0 if killed else 1)
    assert ("does not stop, and is killed" in bench.log()) is killed
    assert (f"{unit} was not started: it has not stopped or started in" in bench.log()) is not killed
    assert (bench.fake.kernel.units()[f"system/{unit}"]["active"] == "active") is killed


def test_what_is_kept_after_a_start_is_not_in_it(boot):
    bench = boot(scenarios.generic_nic())
    source = bench.machine.paths.at("var/lib/a")
    with open(source, "w", encoding="utf-8") as file:
        file.write("nvram")
    bench.apply(("file.copy", {"source": "/var/lib/a", "dest": "/var/lib/b"}))
    assert bench.steps[0].scope is Scope.TRANSACTION
    assert bench.run() == 0
    assert os.path.exists(bench.machine.paths.at("var/lib/b"))


BLOB = f"{'0' * 64}.{'1' * 16}"


def every_step(machine):
    """One step of each kind that has an undo, with hostile values."""
    return [
        planned(machine, "driver.override", {"address": GPU, "value": VFIO}, baseline={"value": HOSTILE}),
        planned(machine, "driver.bind", {"address": GPU, "driver": VFIO}, baseline={"driver": HOSTILE}),
        planned(machine, "module.unload", {"modules": [HOSTILE], "devices": [GPU]},
                baseline={"modules": [HOSTILE], "drivers": {GPU: HOSTILE}}),
        planned(machine, "unit.stop", {"unit": HOSTILE, "uid": 1000}, baseline={"active": True}),
        planned(machine, "unit.start", {"unit": HOSTILE}, baseline={"active": False}),
        planned(machine, "unit.hold", {"unit": HOSTILE}),
        planned(machine, "container.stop", {"tool": "podman", "name": HOSTILE, "user": HOSTILE},
                baseline={"active": True}),
        planned(machine, "vtconsole.unbind", {"name": HOSTILE}, baseline={"bound": True}),
        planned(machine, "sysfs.write", {"path": f"/sys/{HOSTILE}", "value": "1"}, baseline={"value": HOSTILE}),
        planned(machine, "inhibit.sleep", {"who": HOSTILE, "why": HOSTILE}),
        planned(machine, "command.run", {"argv": ["x"], "undo_argv": [HOSTILE, "-n", ""]}),
        planned(machine, "foreign.run", {"target": "a:b", "resource": HOSTILE, "undo_with": [
            {"kind": "sysfs.write", "params": {"path": "/sys/a", "value": HOSTILE}},
        ]}),
        planned(machine, "file.copy", {"source": "/a", "dest": f"/{HOSTILE}"}, scope=Scope.LEASE),
        planned(machine, "directory.copy", {"source": "/a", "dest": f"/{HOSTILE}", "files": ["b"]}, scope=Scope.LEASE),
        planned(machine, "file.write", {"path": f"/{HOSTILE}", "blob": BLOB, "size": 1}, scope=Scope.LEASE,
                baseline={"former": None, "operation": OPERATION}),
        planned(machine, "file.fetch", {"url": "https://a/b", "path": f"/{HOSTILE}"}, scope=Scope.LEASE),
        planned(machine, "disk.snapshot", {"backend": "qcow2", "path": f"/{HOSTILE}", "name": HOSTILE},
                baseline={"exists": False, "operation": OPERATION}, scope=Scope.LEASE),
    ]  # fmt: skip


@pytest.mark.skipif(not shutil.which("shellcheck"), reason="shellcheck is not installed")
def test_shellcheck_has_nothing_to_say(tmp_path):
    machine = Machine(Paths(str(tmp_path)), None)
    back = (Condition("unit.state", {"unit": HOSTILE, "state": "active"}), Condition("path.exists", {"path": HOSTILE}))
    for steps in ([], every_step(machine)):
        text = render(HOSTILE, UUID, steps, machine.paths, back=back if steps else ())
        done = subprocess.run(["shellcheck", "-s", "sh", "-"], input=text, text=True, capture_output=True, check=False)
        assert done.stdout == ""
        assert done.returncode == 0


NAMES = st.text(st.characters(exclude_characters="\0\n/", exclude_categories=("Cs",)), min_size=1, max_size=30)


@settings(max_examples=25, deadline=None)
@given(guest=NAMES, value=NAMES)
def test_any_guest_name_and_any_value_is_carried_as_it_is(tmp_path_factory, guest, value):
    """The script of a machine that lacks everything: it ends with its mark and no value runs as a command."""
    root = str(tmp_path_factory.mktemp("root"))
    paths = Paths(root)
    os.makedirs(os.path.join(root, "sys"))
    attribute = os.path.join(root, "sys", "a")
    with open(attribute, "w", encoding="utf-8") as file:
        file.write("other\n")
    os.makedirs(os.path.join(paths.markers, "x"))
    machine = Machine(paths, None)
    step = planned(machine, "sysfs.write", {"path": "/sys/a", "value": "other"}, baseline={"value": value})
    script = tmp_path_factory.mktemp("script") / "undo.sh"
    script.write_text(render(guest, UUID, [step], paths))
    done = subprocess.run(["dash", script], stdin=subprocess.DEVNULL, text=True, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    with open(attribute, encoding="utf-8", newline="") as file:
        assert file.read() == f"{value}\n"
    assert sorted(os.listdir(root)) == ["run", "sys", "var"]


def test_each_kind_with_an_undo_renders_it_for_a_lease():
    """A kind that undoes something at release, but says nothing in undo.sh, would strand it when Python is broken."""
    machine = Machine(Paths("/nowhere"), None)
    rendering = {step.kind for step in every_step(machine) if kind(step.kind).render_undo(step, machine.paths)}
    undone = {name for name in MODULES if kind(name).undo_class != "none" and kind(name).in_hooks}
    assert undone - rendering == {"wait.until"}


OTHER = "99999999-2222-3333-4444-555555555555"


def test_what_another_guest_still_needs_is_left_until_that_one_is_done(boot):
    bench = boot(scenarios.two_gpu())
    bench.apply(DESKTOP, *giving(AUDIO))
    ledger = Ledger(bench.machine.paths)
    for step in bench.steps:
        ledger.join(step, UUID, HOSTILE)
    ledger.join(bench.steps[0], OTHER, f'"{UUID}": "x')
    assert bench.run() == 0
    assert "still needed by another guest" in bench.log()
    assert bench.fake.kernel.units()["system/lightdm.service"]["active"] == "inactive"
    assert bench.drivers()[1] == "snd_hda_intel"
    ledger.leave(bench.steps[0], OTHER)
    assert bench.run() == 0
    assert bench.fake.kernel.units()["system/lightdm.service"]["active"] == "active"


def test_a_guest_that_such_a_script_has_brought_home_needs_nothing_any_more(boot):
    bench = boot(scenarios.two_gpu())
    bench.apply(DESKTOP)
    ledger = Ledger(bench.machine.paths)
    ledger.join(bench.steps[0], UUID, HOSTILE)
    ledger.join(bench.steps[0], OTHER, "other")
    for name, text in (("uuid", f"{OTHER}\n"), ("undone-by-sh", "0\n")):
        os.makedirs(bench.marks("other"), exist_ok=True)
        with open(os.path.join(bench.marks("other"), name), "w", encoding="utf-8") as file:
            file.write(text)
    assert bench.run() == 0
    assert bench.fake.kernel.units()["system/lightdm.service"]["active"] == "active"
