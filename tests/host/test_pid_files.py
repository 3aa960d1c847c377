"""What libvirt's pid file proves and what it does not: files of others, left-over ones, numbers that are used again."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from vfioctl.host import guests, pid_files

if TYPE_CHECKING:
    from host_tree import Tree

PID, ALICE, QEMU_USER = 812, 1001, 64055
UUID, OTHER = "c7a5fdbd-cdaf-9455-926a-d65c16db1809", "c7a5fdbd-cdaf-9455-926a-d65c16db1810"
PLACE = "run/libvirt/qemu"
HZ = os.sysconf("SC_CLK_TCK")
LOCK = """\
import fcntl, sys, time
file = open(sys.argv[1], "r+")
fcntl.lockf(file, fcntl.LOCK_EX, 1)
print("locked", flush=True)
time.sleep(600)
"""
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="giving files away needs root")


def ticks(age: float) -> int:
    """The start time of a process that was started `age` seconds ago."""
    return int((time.clock_gettime(time.CLOCK_BOOTTIME) - age) * HZ)


def process(tree: Tree, *, pid: int = PID, uids: str = "0 0 0 0", age: float = 60.0, state: str = "S",
            arguments: tuple[str, ...] = ()) -> None:  # fmt: skip
    tree.write(f"proc/{pid}/stat", f"{pid} (qemu-system-x86) {state} " + "0 " * 18 + f"{ticks(age)} 0 0\n")
    tree.write(f"proc/{pid}/status", f"Name:\tqemu-system-x86\nUid:\t{uids.replace(' ', chr(9))}\nGid:\t0\t0\t0\t0\n")
    tree.write(f"proc/{pid}/comm", "qemu-system-x86\n")
    words = arguments or ("/usr/bin/qemu-system-x86_64", "-name", "guest=win11,debug-threads=on", "-uuid", UUID)
    tree.write(f"proc/{pid}/cmdline", "\0".join(words) + "\0")


def pid_file(tree: Tree, text: str = str(PID), name: str = "win11") -> Path:
    path = tree.write(f"{PLACE}/{name}.pid", text)
    path.chmod(0o644)
    return path


def found(tree: Tree, name: str = "win11") -> int | None:
    return pid_files.process(tree.paths, name)


@pytest.mark.parametrize("text", ["812", "812\n", " 812 "])
def test_the_process_that_the_pid_file_names_is_the_guests(tree: Tree, text: str) -> None:
    process(tree)
    pid_file(tree, text)
    assert found(tree) == PID
    assert tree.host().qemu_of(UUID, "win11") == tree.host().qemu_of(UUID) == PID
    assert guests.running(tree.paths) == {"win11": PID}


@pytest.mark.parametrize(
    "text",
    ["", "0", "-812", "+812 813", "0x32c", "81 2", "812;", "8_1_2", "+812", "9" * 40, "812\0", "\n", "none", "1e3"],
)
def test_a_pid_file_that_says_no_number_names_nobody(tree: Tree, text: str) -> None:
    process(tree)
    pid_file(tree, text)
    assert found(tree) is None
    assert tree.host().qemu_of(UUID, "win11") is None


def test_a_process_that_was_started_after_the_file_was_written_has_only_its_number(tree: Tree) -> None:
    process(tree, age=60.0)
    path = pid_file(tree)
    os.utime(path, (time.time() - 3600, time.time() - 3600))
    assert found(tree) is None
    os.utime(path, (time.time() - 60, time.time() - 60))
    assert found(tree) == PID


@pytest.mark.parametrize("state", ["Z", ""])
def test_a_process_that_has_ended_is_none(tree: Tree, state: str) -> None:
    if state:
        process(tree, state=state)
    pid_file(tree)
    assert found(tree) is None


@pytest.mark.parametrize(
    "uids", ["1001 1001 1001 1001", "1001 0 0 0", "0 1001 0 1001", "1001 1001 0 1001", "65534 65534 65534 65534"]
)
def test_a_process_of_somebody_else_is_none_nor_is_a_setuid_program_that_they_run(tree: Tree, uids: str) -> None:
    process(tree, uids=uids)
    pid_file(tree)
    tree.write("etc/passwd", f"alice:x:{ALICE}:1001::/:/bin/sh\nlibvirt-qemu:x:{QEMU_USER}:1::/:/bin/false\n")
    assert found(tree) is None


@pytest.mark.parametrize(
    ("configuration", "passwd", "uid"),
    [("", "libvirt-qemu:x:64055:106:,,,:/var/lib/libvirt:/bin/false\n", 64055), ("", "qemu:x:107:107::/:/\n", 107),
     ('#user = "root"\nuser = "vm"\n', "vm:x:990:990::/:/bin/sh\n", 990), ('user = "+1234"\n', "", 1234),
     ("user = 1234\n", "", 1234), ("user='vm'\n", "vm:x:990:990::/:/bin/sh\n", 990)],
)  # fmt: skip
def test_qemus_user_is_the_one_of_the_distribution_or_of_qemu_conf(tree: Tree, configuration, passwd, uid) -> None:
    process(tree, uids=f"{uid} {uid} {uid} {uid}")
    pid_file(tree)
    assert found(tree) is None
    tree.write("etc/libvirt/qemu.conf", configuration)
    tree.write("etc/passwd", passwd)
    assert found(tree) == PID


@pytest.mark.parametrize(
    "passwd", ["libvirt-qemu\n", "libvirt-qemu:x\n", "libvirt-qemu:x:-1:1::\n", "libvirt-qemu:x:²:1::\n", ":::::\n\0"]
)
def test_damaged_rows_of_users_name_nobody(tree: Tree, passwd: str) -> None:
    process(tree, uids="64055 64055 64055 64055")
    pid_file(tree)
    tree.write("etc/passwd", passwd)
    assert found(tree) is None


def _mode(mode: int) -> Callable[[Path], None]:
    return lambda path: path.chmod(mode)


def _fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _link(path: Path) -> None:
    path.rename(path.with_suffix(".real"))
    path.symlink_to(path.with_suffix(".real"))


def _device(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("damage", [_mode(0o666), _mode(0o646), _fifo, _directory, _link, _device])
def test_what_others_could_have_written_or_is_no_file_proves_nothing(tree: Tree, damage) -> None:
    process(tree)
    damage(pid_file(tree))
    assert found(tree) is None


@needs_root
@pytest.mark.parametrize("place", ["", "..", "../.."], ids=["the file", "its directory", "the one above"])
def test_nor_does_a_file_in_somebody_elses_hands(tree: Tree, place: str) -> None:
    process(tree)
    path = pid_file(tree)
    assert found(tree) == PID
    os.chown(os.path.normpath(path / place), ALICE, ALICE)
    assert found(tree) is None


@pytest.mark.parametrize("name", ["", ".", "..", "../qemu/win11", "/etc/passwd", "win11\0", "a" * 300, "driver"])
def test_a_name_that_no_guest_has_names_nobody(tree: Tree, name: str) -> None:
    process(tree)
    pid_file(tree)
    pid_file(tree, name="driver")
    assert found(tree, name) is None


@pytest.mark.parametrize("name", ["win 11", "-h", "a,b", "*", "ゲスト", "a.pid", "$(reboot)"])
def test_a_guest_of_any_name_is_found(tree: Tree, name: str) -> None:
    words = ("qemu-system-x86_64", "-name", f"guest={name.replace(',', ',,')},debug-threads=on", "-uuid", UUID)
    process(tree, arguments=words)
    pid_file(tree, name=name)
    assert tree.host().qemu_of(UUID, name) == PID
    assert guests.running(tree.paths) == {name: PID}


def test_the_helpers_of_a_guest_and_the_daemon_are_no_guests(tree: Tree) -> None:
    process(tree, arguments=("/usr/lib/qemu/virtiofsd", "--fd=27"))
    for name in ("1-win11-fs0-fs", "driver"):
        pid_file(tree, name=name)
    assert guests.running(tree.paths) == {}


def test_of_two_guests_of_one_name_only_the_one_that_runs_has_a_qemu(tree: Tree) -> None:
    process(tree)
    pid_file(tree)
    assert tree.host().qemu_of(OTHER, "win11") is None
    assert tree.host().qemu_of(OTHER) is None


def test_a_command_line_alone_proves_nothing(tree: Tree) -> None:
    process(tree)
    (tree.root / PLACE).mkdir(parents=True)
    assert tree.host().qemu_of(UUID, "win11") is None
    assert tree.host().qemu_of(UUID) is None
    assert guests.running(tree.paths) == {}


def test_where_libvirt_has_its_files_elsewhere_the_arguments_of_a_process_of_roots_count(tree: Tree) -> None:
    process(tree, uids="1001 1001 1001 1001")
    process(tree, pid=813, uids="1001 0 0 0")
    assert tree.host().qemu_of(UUID, "win11") is None
    assert guests.running(tree.paths) == {}
    process(tree, pid=814)
    assert tree.host().qemu_of(UUID, "win11") == 814
    assert guests.running(tree.paths) == {"win11": 814}


@pytest.fixture
def real(tree: Tree) -> Tree:
    """A tree that shows this machine's processes."""
    (tree.root / "proc").rmdir()
    tree.link("proc", "/proc")
    return tree


@pytest.fixture
def spawn() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts a process that says something as soon as it is ready."""
    started = []

    def start(*argv: str, **options: object) -> subprocess.Popen[str]:
        child = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, **options)  # type: ignore[call-overload]
        started.append(child)
        assert child.stdout.readline()
        return child

    yield start
    for child in started:
        child.kill()
        child.communicate()


def test_who_has_the_file_locked_is_the_guests_whatever_the_clock_says(real: Tree, spawn) -> None:
    path = pid_file(real, "")
    child = spawn(sys.executable, "-c", LOCK, str(path))
    path.write_text(str(child.pid))
    os.utime(path, (1, 1))  # the clock was set since
    assert found(real) == child.pid
    child.kill()
    child.wait()
    assert found(real) is None


def test_a_lock_of_another_process_proves_nothing_of_the_one_that_is_named(real: Tree, spawn) -> None:
    path = pid_file(real, "")
    spawn(sys.executable, "-c", LOCK, str(path))
    named = spawn(sys.executable, "-c", "import time; print('ready', flush=True); time.sleep(600)")
    path.write_text(str(named.pid))
    os.utime(path, (1, 1))
    assert found(real) is None


@needs_root
def test_a_lock_that_readers_may_take_proves_nothing(real: Tree, spawn) -> None:
    """Whoever may read a file may lock it against writers (fcntl(2))."""
    path = pid_file(real, "")
    shared = LOCK.replace('"r+"', '"r"').replace("LOCK_EX", "LOCK_SH")
    child = spawn(sys.executable, "-c", shared, str(path))
    path.write_text(str(child.pid))
    os.utime(path, (1, 1))
    assert found(real) is None


