"""What else may come between: torn lines, full disks, closed stderr, orphans, two who recover, a daemon that dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from hand_offs import BY_NAME, GUEST, Stage, stage
from recoveries import as_before, recover
from walks import walk

from vfioctl.testing.domains import UUID
from vfioctl.wait import until

PAGE = 4096
GREETER, DESKTOP, SNAPSHOT = (BY_NAME[name] for name in ("nvidia-greeter", "nvidia-desktop", "snapshot"))


@pytest.fixture
def on(tmp_path):
    with stage(GREETER, tmp_path) as one:
        yield one


def killed_at(on: Stage, number: int) -> Stage:
    on.crash_at(number)
    assert on.prepare().status == -signal.SIGKILL
    on.crash_at(None)
    return on


def stride(on: Stage, kind: str):
    return next(one for one in walk(on.scenario).there if one.kind == kind)


# The journal's last line


@pytest.mark.parametrize("number", [1, 4, 9, 13, 14, 17])
def test_a_torn_last_line_is_no_obstacle(on, number):
    killed_at(on, number)
    tear(on.host.paths.boot_journal(UUID))
    assert on.story().torn
    recover(on)
    as_before(on)


@pytest.mark.parametrize("number", [3, 4, 5, 6])
def test_a_torn_last_line_on_disk_is_no_obstacle(tmp_path, number):
    with stage(SNAPSHOT, tmp_path) as on:
        killed_at(on, number)
        tear(on.host.paths.disk_journal(UUID))
        recover(on)
        as_before(on)


def tear(path: str) -> None:
    """Cut the last line in its middle, as a crash does."""
    with open(path, "rb+") as file:
        *whole, last = file.read().splitlines(keepends=True)
        file.truncate(len(b"".join(whole)) + len(last) // 2)


# Places that cannot be written


@contextmanager
def small_file_system(directory: str):
    """A file system of its own for `directory`, with what is in it now."""
    if os.getuid():
        pytest.skip("only root can mount a file system")
    os.makedirs(directory, exist_ok=True)
    kept = subprocess.run(["tar", "-C", directory, "-c", "."], check=True, capture_output=True).stdout
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=755", "none", directory], check=True)
    try:
        subprocess.run(["tar", "-C", directory, "-x"], input=kept, check=True)
        yield
    finally:
        subprocess.run(["umount", "--lazy", directory], check=True)


def fill(directory: str) -> None:
    """Write until nothing more fits, not even another line of a journal that is there."""
    for path in Path(directory).rglob("*.jsonl"):
        with path.open("ab") as file:
            file.write(b"\n" * (-file.tell() % PAGE))
    with open(os.path.join(directory, "filler"), "wb", buffering=0) as file:
        try:
            while file.write(bytes(512)):
                pass
        except OSError:
            return


@pytest.mark.parametrize("place", ["var/lib", "run"])
def test_with_a_full_disk_a_start_is_refused_and_nothing_changes(on, place):
    directory = os.path.join(on.root, place)
    with small_file_system(directory):
        fill(directory)
        before = on.look()
        ended = on.prepare()
        assert ended.status > 0
        assert "win11" in ended.stderr.splitlines()[-1]
        assert "internal error" not in ended.stderr
        assert changed_machine(before, on.look()) == []
        assert all(write["result"] for write in on.host.kernel.writes())


def test_with_a_read_only_state_directory_a_start_is_refused_and_nothing_changes(on):
    directory = os.path.join(on.root, "var/lib")
    with small_file_system(directory):
        subprocess.run(["mount", "-o", "remount,ro", directory], check=True)
        before = on.look()
        ended = on.prepare()
        assert ended.status > 0
        assert "Nothing was changed." in ended.stderr.splitlines()[-1]
        assert changed_machine(before, on.look()) == []


def changed_machine(before, after) -> list[str]:
    """What differs beside our own directories."""
    ours = ("run/", "var/")
    names = (name for name in sorted(before.keys() | after.keys()) if not name.startswith(ours))
    return [name for name in names if before.get(name) != after.get(name)]


@pytest.mark.parametrize(("place", "kind"), [
    ("run", "unit.stop"), ("run", "module.unload"), ("run", "driver.bind"), ("var/lib", "driver.bind"),
])  # fmt: skip
def test_when_the_disk_fills_up_in_mid_hand_off_it_is_undone_or_done(on, place, kind):
    """A journal in /run that takes no more lines ends the hand-off; only records are lost with a full /var."""
    directory = os.path.join(on.root, place)
    with small_file_system(directory):
        on.before = on.look()
        on.pause_at(stride(on, kind).intent)
        with on.paused_hook("prepare") as hook:
            fill(directory)
        ended = hook.wait()
        if place == "run":
            assert ended.status > 0
            assert "No space left" in ended.stderr
        os.unlink(os.path.join(directory, "filler"))
        if ended.status == 0:
            on.libvirt.gone(GUEST, on.xml)
            assert on.wait_for_return()
        elif on.story() is not None:
            recover(on)
        as_before(on)


def test_a_full_disk_does_not_keep_the_card_from_coming_home(on):
    directory = os.path.join(on.root, "run")
    with small_file_system(directory):
        on.before = on.look()
        assert on.start().status == 0
        on.guest_ends()
        fill(directory)
        assert on.libvirt.gone(GUEST, on.xml).status == 0
        assert on.wait_for_rest()
        for address in on.scenario.addresses:
            assert os.path.basename(os.readlink(on.host.paths.pci(address, "driver"))) != "vfio-pci"
        os.unlink(os.path.join(directory, "filler"))
        if on.story() is not None:
            recover(on)
        as_before(on)


# Nobody reads our messages


@pytest.mark.parametrize("at", walk(DESKTOP).there, ids=lambda at: at.step)
def test_a_reader_of_stderr_that_goes_away_ends_nothing(tmp_path, at):
    """The last step fails, so that there is something to say; SIGPIPE would leave everything as it is."""
    with stage(DESKTOP, tmp_path) as on:
        on.pause_at(at.intent)
        with on.paused_hook("prepare") as hook:
            on.host.kernel.fail_write("/sys/bus/pci/drivers/snd_hda_intel/unbind", value="0000:01:00.1")
            hook.process.stderr.close()
            hook.process.stderr = None
        assert hook.process.wait(60) > 0
        as_before(on)


def test_closed_standard_descriptors_end_nothing(on):
    """Without guard the next opened file would become our stderr."""
    argv = ["sh", "-c", 'exec "$0" "$@" 1>&- 2>&-', on.host.paths.shim, GUEST, "prepare", "begin", "-"]
    assert subprocess.run(argv, input=on.xml, check=False, timeout=60).returncode == 0
    on.libvirt.gone(GUEST, on.xml)
    assert on.wait_for_return()
    as_before(on)


# Helpers that live on, and two who recover


@pytest.mark.parametrize(("kind", "program", "arguments"), [
    ("module.unload", "modprobe", "-r *"), ("unit.stop", "systemctl", "stop -- *"),
])  # fmt: skip
def test_recover_waits_for_a_helper_program_that_outlives_its_parent(on, kind, program, arguments):
    on.pause_at(stride(on, kind).intent)
    with on.paused_hook("prepare") as hook:
        on.host.kernel.hang_program(program, arguments=arguments)
    orphan = wait_for_call(on, program, arguments.rstrip(" *"))
    hook.process.kill()
    assert hook.wait().status == -signal.SIGKILL
    machine = changed_machine({}, on.look())
    refused = on.command("--format", "json", "recover")
    assert refused.returncode != 0
    assert '"lock.busy"' in refused.stdout
    assert changed_machine({}, on.look()) == machine
    os.kill(orphan, signal.SIGKILL)
    assert until(lambda: on.command("recover").returncode == 0, 20)
    as_before(on)


def wait_for_call(on: Stage, program: str, arguments: str) -> int:
    """The pid of the program once it hangs."""

    def hanging() -> int | None:
        for call in on.host.kernel.calls():
            if call["argv"][0] == program and " ".join(call["argv"][1:]).startswith(arguments):
                with open(f"/proc/{call['pid']}/cmdline", encoding="utf-8") as file:
                    return call["pid"] if file.read().startswith("sleep\0") else None
        return None

    assert until(lambda: hanging() is not None, 20)
    return hanging()


def test_of_two_that_recover_at_once_one_is_refused(on):
    killed_at(on, stride(on, "driver.bind").done)
    on.pause_at(2)
    with recovering(on) as first:
        second = on.command("--format", "json", "recover")
        assert second.returncode != 0
        assert '"lock.busy"' in second.stdout
    assert first.wait(60) == 0
    as_before(on)


@contextmanager
def recovering(on: Stage):
    """`vfioctl recover`, standing at its boundary for as long as the block lasts."""
    from vfioctl.testing.crash import paused

    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen([*on.host.argv, "recover"], cwd="/", **quiet)
    assert until(lambda: paused(on.root), 20)
    yield process
    os.kill(process.pid, signal.SIGCONT)


def test_to_recover_twice_changes_nothing_the_second_time(on):
    killed_at(on, stride(on, "driver.bind").done)
    recover(on)
    once = changed_machine({}, on.look())
    on.host.kernel.clear_log()
    recover(on)
    assert on.host.kernel.writes() == []
    assert changed_machine({}, on.look()) == once
    as_before(on)


@pytest.mark.parametrize("number", [1, 4, 7])
def test_a_recovery_that_is_killed_itself_is_finished_by_the_next(on, number):
    killed_at(on, stride(on, "driver.bind").done)
    on.crash_at(number)
    assert on.command("recover").returncode == -signal.SIGKILL
    on.crash_at(None)
    recover(on)
    as_before(on)


# The daemon dies too

DAEMON = """
import subprocess, sys, time
with open(sys.argv[1], "rb") as xml:
    subprocess.run(sys.argv[2:], stdin=xml, check=False)
time.sleep(1000)
"""
POINTS = [
    ("generic", 1), ("nvidia-greeter", 14), ("nvidia-desktop", 11), ("without-systemd", 4), ("snapshot", 5),
    ("bochs-lab", None),
]  # fmt: skip


@pytest.mark.parametrize(("name", "number"), POINTS)
def test_the_dead_man_brings_the_card_home_when_daemon_and_hook_are_gone(tmp_path, name, number):
    """None: prepare has succeeded, and the daemon dies before it has started QEMU."""
    with stage(BY_NAME[name], tmp_path) as on:
        on.crash_at(number)
        xml = os.path.join(on.root, "domain.xml")
        with open(xml, "wb") as file:
            file.write(on.xml)
        argv = [sys.executable, "-I", "-c", DAEMON, xml, on.host.paths.shim, GUEST, "prepare", "begin", "-"]
        daemon = subprocess.Popen(argv, stderr=subprocess.DEVNULL, cwd="/")
        last = number or 2 * len(walk(on.scenario).there)
        assert on.wait_for_crash(last)
        on.crash_at(None)
        os.remove(xml)
        daemon.kill()
        daemon.wait()
        assert on.wait_for_return(40)
        as_before(on, *(on.scenario.kept if number is None else ()))
