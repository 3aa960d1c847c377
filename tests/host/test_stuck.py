"""The record of a kernel write that does not return."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from vfioctl.errors import VfioctlError
from vfioctl.host.stuck import StuckDevice, all_stuck, drop_ended, read_stuck, record_stuck

if TYPE_CHECKING:
    from host_tree import Tree

A, B = "0000:01:00.0", "0000:01:00.1"
PID, STARTED = 812, 4711


def waiting(tree: Tree, state: str = "D", started: int = STARTED) -> None:
    """The process that waits in the kernel."""
    tree.write(f"proc/{PID}/stat", f"{PID} (sh) {state} {'1 ' * 18}{started} 0\n")


def test_a_stuck_write_is_kept_with_the_process_that_waits(tree: Tree) -> None:
    waiting(tree)
    record_stuck(tree.paths, A, PID, "/sys/x/unbind", A)
    assert read_stuck(tree.paths, A) == StuckDevice(A, PID, STARTED, "/sys/x/unbind", A)


def test_a_device_without_a_record_is_not_stuck(tree: Tree) -> None:
    assert read_stuck(tree.paths, A) is None
    assert all_stuck(tree.paths) == ()


@pytest.mark.parametrize("end", ["gone", "zombie", "pid used again"])
def test_a_write_that_has_returned_is_stuck_no_more(tree: Tree, end: str) -> None:
    waiting(tree)
    record_stuck(tree.paths, A, PID, "/sys/x/unbind", A)
    if end == "gone":
        (tree.root / f"proc/{PID}/stat").unlink()
    else:
        waiting(tree, "Z" if end == "zombie" else "S", STARTED if end == "zombie" else STARTED + 1)
    assert read_stuck(tree.paths, A) is None


def test_only_the_record_of_a_write_that_has_returned_is_dropped(tree: Tree) -> None:
    waiting(tree)
    record_stuck(tree.paths, A, PID, "/sys/x/unbind", A)
    record_stuck(tree.paths, B, PID + 1, "/sys/x/unbind", B)
    tree.write("run/vfioctl/stuck/0000:02:00.0.json", "damaged")
    drop_ended(tree.paths, (A, B, "0000:02:00.0", "0000:03:00.0"))
    assert sorted(path.name for path in tree.root.glob("run/vfioctl/stuck/*")) == [f"{A}.json", "0000:02:00.0.json"]


def test_every_stuck_device_is_listed_and_no_other_file(tree: Tree) -> None:
    waiting(tree)
    for address in (B, A):
        record_stuck(tree.paths, address, PID, "/sys/x/unbind", address)
    tree.write("run/vfioctl/stuck/note.txt", "x")
    assert [device.address for device in all_stuck(tree.paths)] == [A, B]


@pytest.mark.parametrize("said", ["", "{", "[]", '{"address": "x"}', '{"surprise": 1}', '"text"', "7"])
def test_a_damaged_record_is_an_error_and_never_nothing(tree: Tree, said: str) -> None:
    tree.write(f"run/vfioctl/stuck/{A}.json", said)
    with pytest.raises(VfioctlError, match=A) as caught:
        read_stuck(tree.paths, A)
    assert caught.value.code == "stuck.malformed"
