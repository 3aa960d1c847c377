"""A file system that never answers holds nobody: a start is refused by name before anything is touched.

With a real FUSE mount that takes every request and answers none, as a hard NFS mount does whose server is gone.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from hand_offs import BY_NAME, GPU, GUEST, Stage
from silent import needs_fuse, silent
from turns import in_turn

from vfioctl.kinds.common import driver_of
from vfioctl.testing.domains import DiskXml, domain
from vfioctl.testing.host import FakeHost

pytestmark = [needs_fuse, pytest.mark.usefixtures("alone")]
LIMIT = 45.0  # seconds: deadlines.plan is 20, and nothing else may add to it
SHARE = "/mnt/share"
SNAPSHOTS = "[snapshot]\nenabled = true\n"
NEEDS = {
    "disk": {"disks": (DiskXml(f"{SHARE}/disk.qcow2"),)},
    "raw disk": {"disks": (DiskXml(f"{SHARE}/disk.raw", format="raw"),)},
    "two disks": {"disks": (DiskXml(f"{SHARE}/a/one.qcow2"), DiskXml(f"{SHARE}/b/two.qcow2", "vdb"))},
    "nvram": {"nvram": f"{SHARE}/VARS.fd"},
    "disk and nvram": {"disks": (DiskXml(f"{SHARE}/disk.qcow2"),), "nvram": f"{SHARE}/VARS.fd"},
}


@pytest.fixture
def machine(place: Path) -> Iterator[FakeHost]:
    with FakeHost(BY_NAME["generic"].machine(), place) as host:
        yield host


def prepared(host: FakeHost, settings: str, **needs: object) -> Stage:
    stage = Stage(replace(BY_NAME["generic"], settings=settings), host)
    stage.xml = domain(GUEST, hostdevs=(GPU,), **needs).encode()
    return stage


def call(stage: Stage, operation: str = "prepare") -> tuple[int, str, float]:
    began = time.monotonic()
    argv = [*stage.host.argv, "hook", GUEST, operation, "begin", "-"]
    ended = subprocess.run(argv, input=stage.xml, capture_output=True, check=False, timeout=LIMIT, cwd="/")
    return ended.returncode, ended.stderr.decode(), time.monotonic() - began


CASES = [
    *((needs, False, settings) for needs in NEEDS for settings in ("", SNAPSHOTS, SNAPSHOTS + 'policy = "require"\n')),
    *((needs, True, settings) for needs in ("disk", "raw disk") for settings in ("", SNAPSHOTS)),
]  # fmt: skip
EACH_TIME = [  # each need and each setting once: a case waits for the 10 s of a look
    ("disk", False, SNAPSHOTS), ("raw disk", False, ""), ("two disks", False, ""), ("nvram", False, ""),
    ("disk and nvram", False, SNAPSHOTS + 'policy = "require"\n'), ("disk", True, SNAPSHOTS), ("raw disk", True, ""),
]  # fmt: skip


@pytest.mark.parametrize(("needs", "stats", "settings"), in_turn(CASES, always=EACH_TIME))
def test_a_start_whose_disk_does_not_answer_is_refused_by_name(machine, needs: str, stats, settings: str):
    """`stats`: the client remembers names and attributes, so that only an open or a read waits."""
    stage = prepared(machine, settings, **NEEDS[needs])
    with silent(stage.root + SHARE, stats=stats):
        status, said, seconds = call(stage)
        assert status == 3, said
        assert SHARE in said
        assert "does not answer" in said
        assert "Nothing was changed." in said
        assert seconds < 30
        assert machine.kernel.writes() == []
    assert stage.differences() == ()


def commands(stage: Stage, *lines: tuple[str, ...], limit: float = LIMIT) -> dict[tuple[str, ...], tuple[int, str]]:
    """Status and everything said of each command; all of them end in time, and none shows a bug."""
    ended = {}
    for words in lines:
        done = subprocess.run(
            [*stage.host.argv, *words], capture_output=True, text=True, check=False, timeout=limit, cwd="/"
        )
        ended[words] = done.returncode, done.stdout + done.stderr
        assert "Traceback" not in ended[words][1]
    return ended


def define(stage: Stage, guest: str, xml: bytes) -> None:
    place = Path(stage.root, "etc/libvirt/qemu")
    place.mkdir(parents=True, exist_ok=True)
    Path(place, f"{guest}.xml").write_bytes(xml)


def test_every_command_ends_while_the_share_of_a_disk_is_dead(machine):
    stage = prepared(machine, SNAPSHOTS, **NEEDS["disk and nvram"])
    define(stage, GUEST, stage.xml)
    with silent(stage.root + SHARE):
        told = commands(
            stage, ("plan", GUEST), ("plan", GUEST, "--format", "json"), ("status",), ("list",), ("recover",),
            ("history",), ("config", "validate"), ("config", "show", GUEST), ("hook", "verify"), ("gpu", "holders"),
            ("plugins", "list"), ("enable", GUEST), ("rescue", "--yes"),
        )  # fmt: skip
    assert told["plan", GUEST][0] == 3
    assert f"{SHARE}/disk.qcow2" in told["plan", GUEST][1]
    assert "20 s of them to plan" in told["plan", GUEST][1]
    shown = json.loads(told["plan", GUEST, "--format", "json"][1])
    assert {"path.unanswered", "start.unanswered"} & {error["code"] for error in shown["errors"]}
    assert shown["data"]["plan"]["budget"]["plan"] == 20.0
    assert {words: status for words, (status, _) in told.items() if status not in (0, 3)} == {}


def test_a_guest_file_on_a_dead_share_is_refused_by_name_and_the_ways_home_go_on(machine):
    stage = prepared(machine, "")
    define(stage, GUEST, stage.xml)
    assert stage.start().status == 0
    file = stage.host.paths.guest_config(GUEST)
    os.unlink(file)
    with silent(stage.root + SHARE):
        os.symlink(f"{stage.root}{SHARE}/win11.toml", file)
        told = commands(
            stage, ("config", "validate"), ("config", "show", GUEST), ("disable", GUEST), ("status",), ("recover",),
        )  # fmt: skip
        assert [told[words][0] for words in told] == [3, 3, 3, 0, 0]
        assert all(file in told[words][1] for words in list(told)[:3])
        stage.stop()
        assert stage.wait_for_return()
        status, said, _ = call(stage)
        assert (status, file in said) == (3, True)
    assert driver_of(stage.host.paths, GPU) == "igb"


@pytest.mark.parametrize("directory", ["/var/lib/vfioctl", "/etc/vfioctl/guests", "/run/vfioctl/locks"])
def test_records_on_a_dead_share_are_named_by_a_start_and_every_command(machine, directory: str):
    stage = prepared(machine, "")
    with silent(stage.root + directory):
        told = commands(stage, ("plan", GUEST), ("status",), ("recover",), ("config", "validate"), ("hook", "verify"))
        assert {status for status, _ in told.values()} == {3}
        assert all(f"{stage.root}{directory} does not answer" in said for _, said in told.values())
        if directory != "/etc/vfioctl/guests":  # there the shim itself would wait
            status, said, _ = call(stage)
            assert (status, f"{directory} does not answer" in said) == (3, True)


def boundary_of(stage: Stage, text: str) -> int:
    """The number of the journal's boundary that begins with `text`, in a start that went well."""
    return next(number for number, line in enumerate(stage.boundaries(), 1) if line.startswith(text))


@pytest.mark.parametrize(
    ("step", "where"), [("snapshot:vda", "/images"), ("snapshot.nvram", "/images"), ("snapshot.nvram", "/nvram")]
)
def test_a_share_that_dies_in_mid_start_costs_its_step_and_the_rest_is_undone_and_told(machine, step: str, where: str):
    stage = Stage(BY_NAME["snapshot"], machine)
    stage.crash_at(None)
    assert stage.start().status == 0
    number = boundary_of(stage, f"intent apply {step}")
    stage.stop()
    assert stage.wait_for_return()
    stage.pause_at(number)
    with ExitStack() as share:
        with stage.paused_hook("prepare") as running:
            share.enter_context(silent(stage.root + where))
        ended = running.wait()
        assert ended.status == 1
        assert f"{stage.root}{where}" in ended.stderr
        assert "Not everything could be put back" in ended.stderr
        assert driver_of(stage.host.paths, GPU) == "igb"
        again = stage.prepare()
        assert again.status in (1, 3)
        assert f"{stage.root}{where}" in again.stderr, "the next start is refused by that name, not by a lock"
    assert stage.command("recover").returncode == 0
    assert stage.start().status == 0, "with its server back the guest starts as ever"


def test_a_share_that_dies_while_the_guest_runs_does_not_keep_the_card(machine):
    stage = Stage(BY_NAME["snapshot"], machine)
    assert stage.start().status == 0
    with silent(stage.root + "/images"), silent(stage.root + "/nvram"):
        began = time.monotonic()
        stage.libvirt.stop(GUEST, stage.xml)
        assert time.monotonic() - began < 20, "libvirt waits for no share"
        assert driver_of(stage.host.paths, GPU) == "igb"
        assert stage.wait_for_return(130), "nor does the rest: deadlines.finish"
        commands(stage, ("status",), ("recover",))
    assert stage.start().status == 0
