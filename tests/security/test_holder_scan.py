"""The scan for holders loses nobody and waits for nobody: real processes of another user, real FUSE, the real /proc."""

from __future__ import annotations

import ctypes
import dataclasses
import errno
import json
import mmap
import os
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hand_offs import BY_NAME, Stage
from share import SILENT, Share, alone, libc, needs_mount, process, reap, share

from vfioctl.frozen import replace
from vfioctl.host import descriptors
from vfioctl.host.descriptors import Unseen, Wanted
from vfioctl.host.holders import Scan, scan
from vfioctl.host.model import DeviceNode
from vfioctl.kernel_io import Writer
from vfioctl.kinds.pci.unseen import unseen_findings
from vfioctl.paths import Paths
from vfioctl.proc import in_child
from vfioctl.testing.host import FakeHost
from vfioctl.testing.model import FakeNode, MachineSpec
from vfioctl.wait import until

pytestmark = needs_mount
NODE = next(path for path in ("/dev/loop-control", "/dev/kvm", "/dev/vga_arbiter", "/dev/fuse") if os.path.exists(path))
NUMBER = os.stat(NODE).st_rdev
REAL = Paths("/")
MALLORY = 64321
CAP_SYS_PTRACE = 19
CLONE_FILES, CLONE_NEWNS, MS_BIND, MS_PRIVATE_REC = 0x400, 0x20000, 4096, 0x44000
SECONDS = 8.0  # that a pass may take on a machine that has other things to do
LIMIT = 40.0  # that a start may take
CARD = DeviceNode("/dev/dri/card0", (os.major(NUMBER), os.minor(NUMBER)), "dri", "0000:01:00.0")


@pytest.fixture
def stack(place: Path) -> Iterator[ExitStack]:
    """Shares and processes; they end in the other order."""
    with alone(), ExitStack() as made:
        made.callback(reap)  # last: a process that hangs ends with its share
        yield made


@pytest.fixture
def make(stack: ExitStack, place: Path) -> Callable[..., Share]:
    return lambda **how: stack.enter_context(share(str(place / "share"), **how))


def look() -> Scan:
    """What is found, without PID 1, into which nobody may look who has fewer capabilities."""
    found = scan(REAL, (CARD,))
    return replace(found, unseen=tuple(one for one in found.unseen if one.pid != 1))


def holds(pid: int) -> bool:
    """Whether `pid` is found, and all of it was seen. What other processes hide is their tests' concern."""
    found = look()
    assert [one for one in found.unseen if one.pid == pid] == []
    return pid in [holder.pid for holder in found.holders]


@pytest.fixture
def card(stack) -> int:
    """The node, as a process gets it that may open it no more."""
    fd = opened(NODE)
    stack.callback(os.close, fd)
    return fd


def name_of(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text().strip()


def opened(path: str, flags: int = os.O_RDWR) -> int:
    return os.open(path, flags)


# What a process has open beside the card


@pytest.mark.parametrize("first", ["card", "film"])
def test_a_holder_that_has_a_file_of_its_own_share_open_is_found(stack, make, card, first: str):
    mine = make(uid=MALLORY, shared=False)
    place = {"card": 90, "film": 200}[first]

    def work() -> None:
        os.dup2(card, place)
        os.close(card)
        os.dup2(opened(mine.film), 100)

    pid = stack.enter_context(process(work, uid=MALLORY, keep=(card,)))
    with pytest.raises(PermissionError):
        os.stat(f"/proc/{pid}/fd/100")
    assert holds(pid)


@pytest.mark.parametrize(
    "number",
    [errno.EACCES, errno.EPERM, errno.ENOENT, errno.EIO, errno.ESTALE, errno.ELOOP, errno.ENOTDIR, errno.ESRCH,
     errno.EINVAL, errno.ENXIO, errno.ENODEV, errno.EINTR, errno.EAGAIN, errno.ENAMETOOLONG, errno.ETIMEDOUT],
    ids=errno.errorcode.get,
)  # fmt: skip
def test_whatever_a_file_system_answers_costs_that_descriptor_alone(stack, make, card, number: int):
    mine = make(uid=MALLORY)
    work = process(lambda: (os.dup2(opened(mine.film), 90), os.dup2(card, 100)), uid=MALLORY, keep=(card,))
    pid = stack.enter_context(work)
    mine.answer_with(number)
    with pytest.raises(OSError, match=r".") as said:
        os.stat(f"/proc/{pid}/fd/90")
    assert said.value.errno == number
    assert holds(pid)


def test_a_share_whose_server_has_died_costs_that_descriptor_alone(stack, make, card):
    mine = make(uid=MALLORY)
    pid = stack.enter_context(process(lambda: (opened(mine.film), os.dup2(card, 100)), uid=MALLORY, keep=(card,)))
    mine.die()
    assert holds(pid)


# Where a process has it


def test_a_thread_with_a_table_of_descriptors_of_its_own_is_looked_at(stack):
    def work() -> None:
        done = threading.Event()

        def thread() -> None:
            libc.unshare(CLONE_FILES)
            opened(NODE)
            done.set()
            threading.Event().wait()

        threading.Thread(target=thread, daemon=True).start()
        done.wait()

    pid = stack.enter_context(process(work))
    assert not any(os.path.realpath(f"/proc/{pid}/fd/{fd}") == NODE for fd in os.listdir(f"/proc/{pid}/fd"))
    assert holds(pid)


def test_a_process_whose_first_thread_has_ended_is_looked_at(stack, place):
    def work() -> None:
        reading, writing = os.pipe()
        if child := os.fork():
            os.close(writing)
            os.read(reading, 1)
            (place / "child").write_text(str(child))
            return
        opened(NODE)

        def rest() -> None:
            while Path(f"/proc/{os.getpid()}/task/{os.getpid()}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
                time.sleep(0.01)
            os.write(writing, b".")
            threading.Event().wait(60)

        threading.Thread(target=rest).start()
        libc.pthread_exit(None)

    stack.enter_context(process(work))
    child = int((place / "child").read_text())
    stack.callback(os.kill, child, 9)
    assert os.listdir(f"/proc/{child}/fd") == []
    assert holds(child)


def test_a_node_under_another_name_is_known_by_its_number(stack, tmp_path):
    """As in a mount namespace of its own, which every user may have."""
    other = tmp_path / "innocent"
    other.touch()

    def work() -> object:
        libc.unshare(CLONE_NEWNS)
        libc.mount(b"none", b"/", None, MS_PRIVATE_REC, None)
        assert libc.mount(NODE.encode(), os.fsencode(other), None, MS_BIND, None) == 0
        return opened(str(other))

    assert holds(stack.enter_context(process(work)))


@pytest.mark.parametrize("flags", [mmap.MAP_SHARED, mmap.MAP_PRIVATE], ids=["shared", "private"])
@pytest.mark.skipif(not os.path.exists("/dev/loop0"), reason="no device that can be mapped")
def test_a_closed_mapping_under_another_name_is_known_by_its_number(stack, tmp_path, flags: int):
    other = tmp_path / "innocent"
    other.touch()

    def work() -> object:
        libc.unshare(CLONE_NEWNS)
        libc.mount(b"none", b"/", None, MS_PRIVATE_REC, None)
        assert libc.mount(b"/dev/loop0", os.fsencode(other), None, MS_BIND, None) == 0
        fd = opened(str(other), os.O_RDONLY)
        kept = mmap.mmap(fd, 4096, flags, mmap.PROT_READ)
        os.close(fd)
        return kept

    pid = stack.enter_context(process(work))
    wanted = Wanted(frozenset({(True, os.stat("/dev/loop0").st_rdev)}), maps=True)
    assert pid in [found.pid for found in descriptors.look(REAL, wanted, Writer()).found]


def test_who_may_not_open_a_node_is_no_holder_by_naming_it(stack):
    """O_PATH needs no permission on the file: anybody could keep a card from every guest."""
    pid = stack.enter_context(process(lambda: opened(NODE, os.O_PATH), uid=MALLORY))
    assert not holds(pid)


# What never answers


@pytest.mark.parametrize("many", [1, 40])
def test_a_share_that_does_not_answer_hides_no_holder_and_holds_nobody(stack, make, card, many: int):
    far = make(uid=MALLORY)
    bystander = stack.enter_context(process(lambda: [opened(far.film) for _ in range(many)], uid=MALLORY))
    work = process(lambda: (opened(far.film), os.dup2(card, 100)), uid=MALLORY, keep=(card,))
    holder = stack.enter_context(work)
    far.answer_with(SILENT)
    began = time.monotonic()
    found = look()
    assert time.monotonic() - began < SECONDS
    assert found.unseen == ()
    pids = [one.pid for one in found.holders]
    assert (holder in pids, bystander in pids) == (True, False)


def test_what_even_the_kernel_does_not_know_is_named(stack, make, monkeypatch):
    """As on a file system that asks its server for everything."""
    far = make(uid=MALLORY)
    pid = stack.enter_context(process(lambda: [opened(far.film) for _ in range(2)], uid=MALLORY))
    monkeypatch.setattr("vfioctl.host.cached_status.of", lambda path: (os.stat(path).st_mode, os.stat(path).st_rdev))
    far.answer_with(SILENT)
    writer = Writer()
    found = scan(REAL, (CARD,), (), writer)
    assert {(one.pid, one.path, one.denied) for one in found.unseen if one.pid != 1} == {(pid, far.film, False)}
    said = [finding.message for finding in unseen_findings(found.unseen, ("0000:01:00.0",))]
    assert f"{far.film} of process {pid} ({name_of(pid)}) does not answer: it may hold 0000:01:00.0." in said
    began = time.monotonic()
    assert scan(REAL, (CARD,), (), writer).unseen == found.unseen
    assert time.monotonic() - began < SECONDS / 4


def test_a_process_that_even_root_may_not_look_into_is_named(stack):
    """The kernel lets root look where it has every capability of the other, and a security module may forbid it."""
    pid = stack.enter_context(process(lambda: opened(NODE)))

    def work() -> bytes:
        drop(CAP_SYS_PTRACE)
        return json.dumps([one.pid for one in scan(REAL, (CARD,)).unseen]).encode()

    assert pid in json.loads(in_child(work, deadline=20).data)
    (finding,) = unseen_findings((Unseen(pid, "x", denied=True),), ("0000:01:00.0",))
    assert finding.code == "holder.unreadable"
    assert finding.message == f"Process {pid} (x) may not be looked into, even by root: it may hold 0000:01:00.0."


def drop(capability: int) -> None:
    """Give a capability of the numbers below 32 away (capset(2), version 3)."""
    header = struct.pack("<Ii", 0x20080522, 0)
    now = ctypes.create_string_buffer(24)
    libc.capget(header, now)
    low, high = struct.unpack("<12s12s", now.raw)
    words = (word & ~(1 << capability) for word in struct.unpack("<3I", low))
    assert libc.capset(header, struct.pack("<3I", *words) + high) == 0


def lock_its_memory(film: str, flags: int) -> object:
    """Map `film` and read it through /proc/self/mem, which waits with the memory map locked; then a writer waits."""
    pages = mmap.mmap(os.open(film, os.O_RDWR), 4096, flags)
    address = ctypes.addressof(ctypes.c_char.from_buffer(pages))
    memory = os.open("/proc/self/mem", os.O_RDONLY)
    reads = threading.Thread(target=lambda: (time.sleep(0.1), os.pread(memory, 1, address)), daemon=True)
    anonymous = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    writes = threading.Thread(target=lambda: (time.sleep(0.4), libc.mmap(None, 4096, 0, anonymous, -1, 0)), daemon=True)
    reads.start()
    writes.start()
    return pages


def states(pid: int) -> list[str]:
    """What each thread of `pid` does."""
    tasks = (Path(f"/proc/{pid}/task/{name}/stat").read_text() for name in os.listdir(f"/proc/{pid}/task"))
    return [text.rpartition(")")[2].split()[0] for text in tasks]


@pytest.mark.parametrize("flags", [mmap.MAP_SHARED, mmap.MAP_PRIVATE], ids=["shared", "private"])
def test_a_process_whose_memory_is_locked_holds_nobody(stack, make, card, flags: int):
    """What is open is seen all the same; whether something is mapped is known, or named as not known."""
    mine = make(uid=MALLORY, shared=False)

    def work() -> object:
        os.dup2(card, 100)
        return lock_its_memory(mine.film, flags)

    pid = stack.enter_context(process(work, uid=MALLORY, keep=(card,)))
    assert until(lambda: "D" in states(pid), 10)
    began = time.monotonic()
    found = look()
    assert time.monotonic() - began < SECONDS
    assert pid in [one.pid for one in found.holders]
    assert {(one.pid, one.path, one.denied) for one in found.unseen} <= {(pid, "The memory map", False)}


# A whole start


@pytest.fixture
def stage(place: Path) -> Iterator[Stage]:
    """A simulated card whose control node has the number of NODE, on the real /proc."""
    scenario = BY_NAME["nvidia-greeter"]
    with FakeHost(with_number(scenario.machine()), place) as host:
        stage = Stage(scenario, host)
        os.unlink(host.paths.proc)
        os.symlink("/proc", host.paths.proc)
        yield stage


def with_number(machine: MachineSpec) -> MachineSpec:
    node = FakeNode("/dev/nvidiactl", os.major(NUMBER), os.minor(NUMBER))
    modules = (dataclasses.replace(one, nodes=(node,)) if one.name == "nvidia" else one for one in machine.modules)
    return dataclasses.replace(machine, modules=tuple(modules))


def prepared(stage: Stage) -> str:
    """What a start said that was refused in time, with nothing touched."""
    began = time.monotonic()
    assert stage.hook("prepare") == 3
    assert time.monotonic() - began < LIMIT
    assert stage.host.kernel.writes() == []
    return " ".join(str(value) for value in stage.last().values())


def test_a_start_over_a_holder_with_a_share_of_its_own_is_refused(stack, stage, make, card):
    mine = make(uid=MALLORY, shared=False)
    work = process(lambda: (opened(mine.film), os.dup2(card, 100)), uid=MALLORY, keep=(card,))
    pid = stack.enter_context(work)
    assert f"Process {pid} ({name_of(pid)})" in prepared(stage)
    assert str(pid) in stage.command("gpu", "holders").stdout


def test_a_start_beside_a_share_that_does_not_answer_goes_on(stack, stage, make):
    """The kernel knows that the file is no device, whatever its server says or does not."""
    far = make(uid=MALLORY)
    stack.enter_context(process(lambda: opened(far.film), uid=MALLORY))
    far.answer_with(SILENT)
    began = time.monotonic()
    assert stage.hook("prepare") == 0
    assert time.monotonic() - began < LIMIT
    assert stage.last()["ok"]


def test_a_start_beside_a_process_whose_memory_is_locked_is_over_in_time(stack, stage, make):
    mine = make(uid=MALLORY, shared=False)
    pid = stack.enter_context(process(lambda: lock_its_memory(mine.film, mmap.MAP_SHARED), uid=MALLORY))
    assert until(lambda: "D" in states(pid), 10)
    assert f"The memory map of process {pid} ({name_of(pid)}) does not answer" in prepared(stage)
