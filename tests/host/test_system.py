"""The kernel's names for itself, processes, and QEMUs by domain."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

from vfioctl.host import processes
from vfioctl.paths import Paths

if TYPE_CHECKING:
    from host_tree import Tree

UUID = "9c6e9e7c-6d2c-4a9a-9b57-0f5d2f4f7a11"
STAT = "812 (Xorg :0) (x)) S 1 812 812 0 -1 4194560 1 0 0 0 1 1 0 0 20 0 1 0 4711 1 1 1\n"


def test_the_kernel_says_its_release_command_line_and_boot(tree: Tree) -> None:
    tree.write("proc/sys/kernel/osrelease", "6.1.0-56-amd64\n")
    tree.write("proc/cmdline", "root=/dev/vda quiet\n")
    tree.write("proc/sys/kernel/random/boot_id", "0d0f3a1c\n")
    host = tree.host()
    assert (host.kernel_release(), host.kernel_command_line(), host.boot_id()) == (
        "6.1.0-56-amd64", "root=/dev/vda quiet", "0d0f3a1c",
    )  # fmt: skip


def test_a_kernel_that_says_nothing_has_empty_names(tree: Tree) -> None:
    host = tree.host()
    assert (host.kernel_release(), host.kernel_command_line(), host.boot_id()) == ("", "", "")


def test_a_qemu_is_found_by_the_uuid_of_its_domain(tree: Tree) -> None:
    tree.write("proc/800/cmdline", f"/usr/bin/vim\0notes-uuid-{UUID}\0")
    tree.write("proc/812/cmdline", f"/usr/bin/qemu-system-x86_64\0-name\0guest=win10\0-uuid\0{UUID}\0")
    tree.write("proc/version", "Linux")
    assert tree.host().qemu_of(UUID) == 812


def test_no_qemu_is_found_for_another_domain_or_an_unreadable_process(tree: Tree) -> None:
    tree.write("proc/812/cmdline", f"/usr/bin/qemu-system-x86_64\0-uuid\0{UUID}\0")
    (tree.root / "proc/813").mkdir()
    assert tree.host().qemu_of("other") is None


def test_the_start_time_is_read_behind_any_command_name(tree: Tree) -> None:
    tree.write("proc/812/stat", STAT)
    assert processes.start_time(tree.paths, 812) == 4711


def test_a_process_that_is_not_there_has_no_start_time_and_no_name(tree: Tree) -> None:
    assert processes.start_time(tree.paths, 812) is None
    assert processes.comm(tree.paths, 812) == "?"
    assert not processes.is_alive(tree.paths, 812, 4711)


def test_a_process_is_alive_only_with_its_own_start_time(tree: Tree) -> None:
    tree.write("proc/812/stat", STAT)
    assert processes.is_alive(tree.paths, 812, 4711)
    assert not processes.is_alive(tree.paths, 812, 4712)


def test_a_garbled_stat_names_no_living_process(tree: Tree) -> None:
    for said in ("", "812", "812 (x) S 1\n", "812 (x) S" + " x" * 30):
        tree.write("proc/812/stat", said)
        assert processes.start_time(tree.paths, 812) is None
        assert not processes.is_alive(tree.paths, 812, 4711)


def test_a_zombie_is_not_alive() -> None:
    paths = Paths("/")
    child = subprocess.Popen(["/bin/true"])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    started = processes.start_time(paths, child.pid)
    assert started
    assert not processes.is_alive(paths, child.pid, started)
    child.wait()
