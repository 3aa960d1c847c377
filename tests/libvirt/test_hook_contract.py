"""What libvirt does with its hooks, measured: vfioctl is built on each of these lines (libvirt.org/hooks.html)."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from vfioctl.wait import until

STARTED = ["prepare begin -", "start begin -", "started begin -"]
HOOK_DEADLINE = 20.0
RECORD = """\
printf '%s\\n' "$*" >>{here}/calls
id -u >>{here}/uid
env >>{here}/env
cat >{here}/stdin.$2
"""
SLOW = """\
[ "$2" = {operation} ] || exit 0
touch {here}/in
until [ -e {here}/go ]; do sleep 0.05; done
"""


@pytest.fixture
def recorder(lab: Any, tmp_path: Path) -> Any:
    """A drop-in that records its arguments, user, environment and stdin."""
    calls = tmp_path / "calls"
    calls.touch()
    lab.hook("10-record", RECORD.format(here=tmp_path))
    yield calls
    clear(lab)


def clear(lab: Any) -> None:
    """No guest and no drop-in but the first."""
    for pid in lab.qemu_pids():
        os.kill(pid, signal.SIGKILL)
    for path in (lab.etc / "hooks/qemu.d").iterdir():
        if path.is_file() and path.name != "00-present":
            path.unlink()
    until(lambda: "running" not in lab.virsh("list", "--all").stdout, HOOK_DEADLINE)
    for guest in lab.virsh("list", "--all", "--uuid").stdout.split():
        lab.virsh("undefine", "--domain", guest)


def calls_of(calls: Path, guest: str) -> list[str]:
    return [line.removeprefix(f"{guest} ") for line in calls.read_text().splitlines() if line.startswith(f"{guest} ")]


def test_a_start_and_a_destroy_call_five_operations_as_root_with_the_xml_on_stdin(
    lab: Any, recorder: Path, contract: Any
) -> None:
    identity = lab.define("win11")
    lab.virsh("start", "win11")
    lab.virsh("destroy", "win11")
    assert calls_of(recorder, "win11") == contract.life
    assert set((recorder.parent / "uid").read_text().split()) == {"0"}
    for operation in ("prepare", "start", "started", "stopped", "release"):
        assert identity in (recorder.parent / f"stdin.{operation}").read_text()


def test_a_hook_may_ignore_its_stdin(lab: Any, recorder: Path) -> None:
    lab.hook("20-deaf", "exit 0\n")
    lab.define("win11")
    lab.virsh("start", "win11")


def test_the_environment_is_fixed_but_for_what_the_daemon_has(lab: Any, recorder: Path) -> None:
    lab.stop()
    inherited = {"TMPDIR": "/var/tmp", "LD_LIBRARY_PATH": "/nowhere", "LD_PRELOAD": "", "USER": "u", "LOGNAME": "l"}
    lab.start(environment={**inherited, "OURS": "1"})
    lab.define("win11")
    lab.virsh("start", "win11")
    lab.virsh("destroy", "win11")
    lab.restart()
    seen = dict(line.partition("=")[::2] for line in (recorder.parent / "env").read_text().splitlines())
    expected = {**inherited, **lab.environment, "LC_ALL": "C"}
    assert {name: seen.get(name) for name in expected} == expected
    assert set(seen) - set(expected) <= {"PWD", "OLDPWD", "SHLVL", "_"}


def test_a_directory_in_qemu_d_is_ignored_and_the_drop_in_beside_it_called(lab: Any, recorder: Path) -> None:
    dispatcher = lab.etc / "hooks/qemu.d/win11/prepare/begin"
    dispatcher.mkdir(parents=True)
    script = dispatcher / "bind.sh"
    script.write_text(f"#!/bin/sh\ntouch {recorder.parent}/dispatched\n")
    script.chmod(0o755)
    lab.define("win11")
    lab.virsh("start", "win11")
    assert calls_of(recorder, "win11")[0] == "prepare begin -"
    assert not (recorder.parent / "dispatched").exists()


def test_a_failing_prepare_lets_the_other_drop_ins_run_then_stops_and_releases(
    lab: Any, recorder: Path, contract: Any
) -> None:
    lab.hook("05-refuse", '[ "$2" = prepare ] || exit 0\necho "our sentence" >&2\nexit 3\n')
    lab.define("win11")
    refused = lab.virsh("start", "win11", check=False)
    assert refused.returncode != 0
    assert calls_of(recorder, "win11") == contract.refused
    assert lab.state("win11") == "shut off"
    assert "Hook script execution failed" in refused.stderr
    assert "unexpected exit status 3: our sentence" in refused.stderr
    assert refused.stderr.index("LC_ALL=C") < refused.stderr.index("our sentence")


@pytest.mark.parametrize("operation", ["start", "started"])
def test_a_hook_that_fails_later_ends_the_guest_too(
    lab: Any, recorder: Path, contract: Any, operation: str
) -> None:
    lab.hook("20-refuse", f'[ "$2" = {operation} ] || exit 0\necho "too late" >&2\nexit 3\n')
    lab.define("win11")
    refused = lab.virsh("start", "win11", check=False)
    assert "unexpected exit status 3: too late" in refused.stderr
    assert lab.state("win11") == "shut off"
    assert calls_of(recorder, "win11")[-2:] == contract.refused[-2:]


def test_a_restarted_daemon_reconnects_a_running_guest(lab: Any, recorder: Path) -> None:
    lab.define("win11")
    lab.virsh("start", "win11")
    before = lab.qemu_pids()
    lab.restart()
    assert until(lambda: "reconnect begin -" in calls_of(recorder, "win11"), HOOK_DEADLINE)
    assert lab.state("win11") == "running"
    assert lab.qemu_pids() == before


def test_a_failing_reconnect_kills_the_guest(lab: Any, recorder: Path) -> None:
    lab.define("win11")
    lab.virsh("start", "win11")
    lab.hook("20-refuse", '[ "$2" != reconnect ]\n')
    lab.restart()
    assert until(lambda: lab.state("win11") == "shut off", HOOK_DEADLINE)


def test_a_daemon_killed_in_prepare_leaves_an_orphan_and_no_further_call(lab: Any, recorder: Path) -> None:
    here = recorder.parent
    lab.hook("20-slow", SLOW.format(operation="prepare", here=here) + f"echo late >&2 || :\ntouch {here}/wrote\n")
    lab.define("win11")
    start = lab.virsh_in_background("start", "win11")
    assert until((here / "in").exists, HOOK_DEADLINE)
    lab.sigkill()
    start.communicate(timeout=HOOK_DEADLINE)
    (here / "go").touch()
    assert not until((here / "wrote").exists, 1.0), "its stderr is a closed pipe: the message kills a naive hook"
    lab.start()
    assert lab.state("win11") == "shut off"
    assert calls_of(recorder, "win11") == ["prepare begin -"]


def test_killed_with_its_guest_the_daemon_stops_and_releases_without_reconnect(
    lab: Any, recorder: Path, contract: Any
) -> None:
    lab.define("win11")
    lab.virsh("start", "win11")
    lab.sigkill(guests=True)
    lab.start()
    assert until(lambda: calls_of(recorder, "win11")[-1].startswith("release end "), HOOK_DEADLINE)
    assert calls_of(recorder, "win11")[3:] == ["stopped end -", f"release end {contract.lost}"]


@pytest.mark.parametrize("operation", ["prepare", "release"])
def test_while_a_hook_runs_nobody_can_list_guests(lab: Any, recorder: Path, operation: str) -> None:
    here = recorder.parent
    lab.define("win11")
    lab.virsh("start", "win11") if operation == "release" else None
    lab.hook("20-slow", SLOW.format(operation=operation, here=here))
    action = lab.virsh_in_background("destroy" if operation == "release" else "start", "win11")
    assert until((here / "in").exists, HOOK_DEADLINE)
    for question in (("list", "--all"), ("dominfo", "win11")):
        with pytest.raises(subprocess.TimeoutExpired):
            lab.virsh(*question, timeout=1.0)
    assert lab.virsh("version", timeout=10.0).returncode == 0
    (here / "go").touch()
    assert action.wait(HOOK_DEADLINE) == 0
    action.communicate()
    assert lab.virsh("list", "--all").returncode == 0


def test_a_child_that_inherits_stderr_keeps_virsh_waiting_and_a_detached_one_does_not(lab: Any, recorder: Path) -> None:
    begun = time.monotonic()
    lab.hook("20-child", '[ "$2" != prepare ] || sleep 4 &\n')
    lab.define("win11")
    lab.virsh("start", "win11")
    assert time.monotonic() - begun > 4.0
    lab.virsh("destroy", "win11")
    lab.hook("20-child", '[ "$2" != prepare ] || setsid sleep 30 </dev/null >/dev/null 2>&1 &\n')
    begun = time.monotonic()
    lab.virsh("start", "win11")
    assert time.monotonic() - begun < 4.0


@pytest.mark.parametrize("name", [".x", "-rf", "it's \"quoted\"", "größe 日本", "a b", "$(reboot)", "x" * 247])
def test_libvirt_starts_guests_of_odd_names(lab: Any, recorder: Path, name: str) -> None:
    lab.define(name)
    lab.virsh("start", "--domain", name)
    assert calls_of(recorder, name) == STARTED
    lab.virsh("destroy", "--domain", name)


@pytest.mark.parametrize("name", [".", "a/b", "x" * 248])
def test_libvirt_defines_no_dot_no_slash_and_no_name_too_long_for_its_files(lab: Any, recorder: Path, name) -> None:
    with pytest.raises(AssertionError):
        lab.define(name)


def test_the_presence_of_hooks_is_cached_until_the_daemon_restarts(make_lab: Any, tmp_path: Path) -> None:
    lab = make_lab()
    lab.start()
    lab.hook("10-late", f'printf "%s\\n" "$*" >>{tmp_path}/calls\n')
    lab.define("win11")
    lab.virsh("start", "win11")
    assert not (tmp_path / "calls").exists()
    lab.restart()
    assert until((tmp_path / "calls").exists, HOOK_DEADLINE)
    assert (tmp_path / "calls").read_text() == "win11 reconnect begin -\n"


def test_a_second_drop_in_needs_no_restart(lab: Any, recorder: Path) -> None:
    assert (lab.etc / "hooks/qemu.d/10-record").stat().st_mtime > 0
    lab.define("win11")
    lab.virsh("start", "win11")
    assert calls_of(recorder, "win11") == STARTED
