"""`vfioctl volume` as a user runs it, on a real libvirtd: what is made, who keeps it, what is ended after a crash."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from somebody import NOBODY
from volume_lab import MEMBERS, PLACE, POOL, Volumes, prepared, qemu_img, small_pool

from vfioctl.kinds.files.marks import MARK
from vfioctl.wait import until

pytest.importorskip("libvirt")
pytest.importorskip("vfioctl_storage")

CREATE = 2  # boundaries: two a step
DEADLINE = 60


@pytest.fixture(scope="module")
def host(module_lab: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return prepared(module_lab, tmp_path_factory.mktemp("volumes"))


@pytest.fixture
def on(host: Any) -> Iterator[Volumes]:
    made = Volumes(host)
    yield made
    made.remove()


def test_a_volume_is_made_grown_shown_and_removed(on: Volumes) -> None:
    assert "is made: qcow2, 32.0 MiB" in on.cli("create", "fast", "web.qcow2", "--size", "32M")
    row, = on.data("list", "fast")["volumes"]
    assert (row["name"], row["format"], row["capacity"], row["path"]) == (
        "web.qcow2", "qcow2", 32 << 20, f"{POOL}/web.qcow2",
    )  # fmt: skip
    assert "has 64.0 MiB, before 32.0 MiB" in on.cli("resize", "fast", "web.qcow2", "+32M")
    assert on.data("show", "fast", "web.qcow2")["volume"]["capacity"] == 64 << 20
    assert "has that size already" in on.cli("resize", "fast", "web.qcow2", "64M")
    on.cli("delete", "fast", "web.qcow2", "--yes")
    assert on.files() == ""


def test_a_dry_run_changes_nothing(on: Volumes) -> None:
    on.cli("create", "fast", "a", "--size", "8M")
    before = on.files()
    for argv in (("create", "fast", "b", "--size", "1M"), ("resize", "fast", "a", "16M"), ("delete", "fast", "a"),
                 ("clone", "fast", "a", "b"), ("clone", "fast", "a", "b", "--linked")):  # fmt: skip
        assert on.data(*argv, "--dry-run")["dry_run"]
    assert on.files() == before


@pytest.mark.parametrize("argv", [
    ("delete", "fast", "_templates_", "--yes"), ("resize", "fast", "_templates_", "1G"),
    ("clone", "fast", "_templates_", "b"), ("download", "fast", "_templates_", "/out"),
], ids=lambda argv: argv[0])  # fmt: skip
def test_a_directory_is_no_volume_of_a_guest(on: Volumes, argv: tuple[str, ...]) -> None:
    on.host.must("mkdir", f"{POOL}/_templates_")
    assert "the templates of pool fast are in it" in on.refused("volume.no_disk", *argv)
    on.host.must("test", "-d", f"{POOL}/_templates_")


def test_a_thin_volume_may_be_larger_than_its_pool_which_is_said(on: Volumes) -> None:
    for argv in (("create", "fast", "a.qcow2", "--size", "1P"), ("resize", "fast", "a.qcow2", "+1P")):
        said = on.cli(*argv)
        assert "a.qcow2 takes room as it is written to" in said
    assert "takes room" not in on.cli("create", "fast", "b.qcow2", "--size", "8M")


@pytest.mark.parametrize("more", [
    ("--preallocation", "full"), ("--preallocation", "metadata"), ("--preallocation", "full", "--image-format", "raw"),
], ids=" ".join)  # fmt: skip
def test_room_that_is_taken_at_once_must_be_there(on: Volumes, more: tuple[str, ...]) -> None:
    assert "left" in on.refused("disk.no_room", "create", "fast", "a", "--size", "4096T", *more)


def test_the_name_of_a_guests_disk_is_refused_without_a_word_of_what_passes_our_guards(on: Volumes) -> None:
    on.cli("create", "fast", "web.qcow2", "--size", "8M")
    on.guest("web.qcow2")
    said = on.refused("volume.exists", "create", "fast", "web.qcow2", "--size", "8M")
    assert "vfioctl volume delete fast web.qcow2" in said
    assert "virsh" not in said
    assert "is needed by the guest" in on.refused("volume.used", "delete", "fast", "web.qcow2", "--yes")


@pytest.mark.parametrize(("argv", "code"), [
    (("create", "fast", "b", "--size", "2048"), "size.no_unit"),
    (("create", "fast", "b", "--size", "x"), "size.malformed"),
    (("create", "fast", "b", "--size", "0"), "size.malformed"),
    (("create", "fast", "../b", "--size", "1M"), "volume.bad_name"),
    (("create", "fast", "a", "--size", "1M"), "volume.exists"),
    (("create", "fats", "b", "--size", "1M"), "pool.unknown"),
    (("create", "fast", "b", "--size", "1M", "--image-format", "raw", "--preallocation", "metadata"),
     "volume.preallocation"),
    (("show", "fast", "b"), "volume.unknown"), (("resize", "fast", "a", "4M"), "volume.would_shrink"),
    (("clone", "fast", "a", "a"), "volume.exists"), (("delete", "fast", "a"), "volume.unconfirmed_delete"),
])  # fmt: skip
def test_what_cannot_be_is_refused_and_nothing_is_lost(on: Volumes, argv: tuple[str, ...], code: str) -> None:
    on.cli("create", "fast", "a", "--size", "8M")
    on.refused(code, *argv)


def test_the_full_file_system_takes_nothing_half(on: Volumes, tmp_path: Path) -> None:
    """A disk that was filled since libvirt has looked: libvirt fails, and nothing is left."""
    with small_pool(on.host, tmp_path) as place:
        on.host.must("fallocate", "-l", "8M", f"{place}/other")
        on.cli("create", "small", "big", "--size", "10M", "--preallocation", "full", "--image-format", "raw", status=1)
        assert "big" not in on.host.must("ls", place)
    assert on.host.left_open() == []


def test_room_that_was_made_since_libvirt_has_looked_counts(on: Volumes, tmp_path: Path) -> None:
    with small_pool(on.host, tmp_path) as place:
        on.host.must("fallocate", "-l", "8M", f"{place}/other")
        on.host.must("sh", "-c", "head -c 7M /dev/urandom > /var/bytes")
        on.host.said("pool", "refresh", "small")
        on.cli("upload", "small", "sent", "/var/bytes", "--image-format", "raw", status=3)
        on.host.must("rm", f"{place}/other")
        on.cli("upload", "small", "sent", "/var/bytes", "--image-format", "raw")
        on.host.must("rm", f"{place}/sent")
        assert "takes room as it is written to" not in on.cli("create", "small", "a", "--size", "10M")


def test_a_volume_is_cut_only_where_that_is_said(on: Volumes) -> None:
    on.cli("create", "fast", "a", "--size", "8M", "--image-format", "raw")
    on.refused("volume.unconfirmed_shrink", "resize", "fast", "a", "4M", "--shrink")
    on.cli("resize", "fast", "a", "4M", "--shrink", "--yes")
    assert on.data("show", "fast", "a")["volume"]["capacity"] == 4 << 20


def test_what_a_guest_has_is_neither_removed_nor_cut(on: Volumes) -> None:
    on.cli("create", "fast", "a.qcow2", "--size", "8M")
    guest = on.guest("a.qcow2")
    assert guest.name in on.refused("volume.used", "delete", "fast", "a.qcow2", "--yes")
    shown = on.data("show", "fast", "a.qcow2")["volume"]
    assert (shown["guests"], shown["running"]) == ([guest.name], [])
    on.refused("volume.used", "clone", "fast", "a.qcow2", "b.qcow2", "--linked")
    on.cli("clone", "fast", "a.qcow2", "b.qcow2")


def test_the_disk_of_a_running_guest_grows_and_is_left_alone_else(on: Volumes) -> None:
    on.cli("create", "fast", "a.qcow2", "--size", "8M")
    guest = on.guest("a.qcow2", start=True)
    on.refused("volume.busy", "resize", "fast", "a.qcow2", "4M", "--shrink", "--yes")
    on.refused("volume.busy", "clone", "fast", "a.qcow2", "b.qcow2")
    on.cli("delete", "fast", "a.qcow2", "--yes", status=3)
    on.cli("resize", "fast", "a.qcow2", "16M")
    said = on.host.lab.virsh("domblkinfo", guest.name, "vda").stdout
    assert str(16 << 20) in said
    on.host.lab.virsh("managedsave", guest.name)
    on.refused("domain.saved", "resize", "fast", "a.qcow2", "32M")
    on.refused("domain.saved", "clone", "fast", "a.qcow2", "b.qcow2")


def test_a_linked_clone_keeps_what_it_lies_above(on: Volumes) -> None:
    on.cli("create", "fast", "base.qcow2", "--size", "8M")
    assert "lies above base.qcow2" in on.cli("clone", "fast", "base.qcow2", "top.qcow2", "--linked")
    assert on.data("show", "fast", "top.qcow2")["volume"]["backing"] == f"{POOL}/base.qcow2"
    assert on.data("show", "fast", "base.qcow2")["volume"]["above"] == [f"{POOL}/top.qcow2"]
    on.refused("volume.used", "delete", "fast", "base.qcow2", "--yes")
    on.refused("volume.used", "resize", "fast", "base.qcow2", "16M")
    on.cli("delete", "fast", "top.qcow2", "--yes")
    on.cli("delete", "fast", "base.qcow2", "--yes")


def test_a_copy_into_another_pool_has_another_format(on: Volumes) -> None:
    on.host.cli("pool", "create", "slow", "--path", f"{PLACE}/slow")
    try:
        on.cli("create", "fast", "a.qcow2", "--size", "8M")
        on.cli("clone", "fast", "a.qcow2", "a.img", "--to", "slow", "--image-format", "raw")
        row = on.data("show", "slow", "a.img")["volume"]
        assert (row["pool"], row["format"], row["capacity"], row["backing"]) == ("slow", "raw", 8 << 20, "")
    finally:
        on.host.lab.virsh("pool-destroy", "slow")
        on.host.lab.virsh("pool-undefine", "slow")


@pytest.mark.parametrize("restarted", [False, True], ids=["at once", "after a power cut"])
@pytest.mark.parametrize("number", range(1, CREATE + 1))
@pytest.mark.parametrize("verb", ["create", "clone", "linked"])
def test_what_was_made_by_a_process_that_was_killed_goes(
    on: Volumes, verb: str, number: int, *, restarted: bool
) -> None:
    on.cli("create", "fast", "a.qcow2", "--size", "8M")
    before = on.files()
    argv = {"create": ("create", "fast", "b.qcow2", "--size", "8M"), "clone": ("clone", "fast", "a.qcow2", "b.qcow2"),
            "linked": ("clone", "fast", "a.qcow2", "b.qcow2", "--linked")}[verb]  # fmt: skip
    on.killed(number, *argv)
    if restarted:
        on.host.restart(daemon=False)
    on.host.recover_uninstalled()
    assert on.files() == before
    assert on.host.left_open() == []
    on.cli(*argv)


EARLY = """#!/bin/sh
[ "$1" = convert ] || exec /var/qemu-img "$@"
touch /var/copied; while ! [ -e /var/go ]; do sleep 0.05; done; exit 1
"""
LATE = """#!/bin/sh
[ "$1" = convert ] || exec /var/qemu-img "$@"
/var/qemu-img "$@"; touch /var/copied; while ! [ -e /var/go ]; do sleep 0.05; done; exit 1
"""


@pytest.mark.parametrize("script", [EARLY, LATE], ids=["before its first byte", "after its last one"])
@pytest.mark.parametrize("form", ["qcow2", "raw"])
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=["^C", "SIGTERM", "SIGKILL"])
def test_a_copy_bears_its_mark_before_it_has_anything_and_goes(on: Volumes, sent: int, form: str, script: str) -> None:
    on.cli("create", "fast", "a.qcow2", "--size", "8M")
    on.host.must("qemu-io", "-f", "qcow2", "-c", "write -P 7 1M 4M", f"{POOL}/a.qcow2")
    before = on.files()
    with qemu_img(on, script):
        process = on.host.started("volume", "clone", "fast", "a.qcow2", "b.img", "--image-format", form)
        assert until(lambda: on.host.run("test", "-e", "/var/copied").returncode == 0, DEADLINE)
        copy = f"/proc/{on.host.lab.holder_pid}/root{on.host.tree}{POOL}/b.img"
        assert os.getxattr(copy, MARK)
        assert (os.stat(copy).st_blocks * 512 < 1 << 20) == (script == EARLY)
        process.send_signal(sent)
        assert process.wait(DEADLINE) not in (0, 4)
    on.host.recover_uninstalled()
    assert (on.files(), on.host.left_open()) == (before, [])
    on.cli("clone", "fast", "a.qcow2", "b.img", "--image-format", form)
    on.host.must("qemu-img", "compare", "-f", "qcow2", "-F", form, f"{POOL}/a.qcow2", f"{POOL}/b.img")


@pytest.mark.parametrize("verb", ["create", "clone"])
def test_a_volume_of_that_name_that_appears_in_between_stays(on: Volumes, verb: str) -> None:
    """Of the same size and format: only its mark could tell it."""
    on.cli("create", "fast", "a.qcow2", "--size", "8M")
    argv = ("fast", "b.qcow2", "--size", "8M") if verb == "create" else ("fast", "a.qcow2", "b.qcow2")
    on.killed(1, verb, *argv)
    on.host.lab.virsh("vol-create-as", "fast", "b.qcow2", "8M", "--format", "qcow2")
    before = on.files()
    assert "made by somebody else" in on.host.recover()
    assert on.files() == before


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("verb", ["resize", "delete"])
def test_what_was_begun_for_good_is_finished(on: Volumes, verb: str, number: int) -> None:
    on.cli("create", "fast", "a.qcow2", "--size", "8M")
    on.killed(number, verb, "fast", "a.qcow2", "16M" if verb == "resize" else "--yes")
    on.host.recover_uninstalled()
    if verb == "delete":
        assert on.names() == []
    else:
        assert on.data("show", "fast", "a.qcow2")["volume"]["capacity"] == 16 << 20
    assert on.host.left_open() == []


@pytest.mark.parametrize("number", [1, 2])
def test_what_was_to_grow_with_a_guest_that_is_off_since_grows_without_it(on: Volumes, number: int) -> None:
    on.cli("create", "fast", "a.qcow2", "--size", "8M")
    guest = on.guest("a.qcow2", start=True)
    on.killed(number, "resize", "fast", "a.qcow2", "16M")
    on.host.lab.virsh("destroy", guest.name)
    on.host.recover_uninstalled()
    assert on.data("show", "fast", "a.qcow2")["volume"]["capacity"] == 16 << 20
    assert on.host.left_open() == []


def test_a_member_of_the_group_libvirt_makes_copies_and_removes_volumes(on: Volumes) -> None:
    """Nothing but libvirt is needed: no mark is written, and no file is read."""
    for argv in (("create", "fast", "a.qcow2", "--size", "8M"), ("clone", "fast", "a.qcow2", "b.qcow2"),
                 ("clone", "fast", "a.qcow2", "c.qcow2", "--linked"), ("resize", "fast", "b.qcow2", "16M"),
                 ("delete", "fast", "c.qcow2", "--yes"), ("delete", "fast", "a.qcow2", "--yes")):  # fmt: skip
        done = on.host.cli_of(NOBODY, MEMBERS, "volume", *argv)
        assert done.returncode == 0, done.stdout + done.stderr
    assert on.names() == ["b.qcow2"]


# upload, download


def image(on: Volumes, *argv: str, name: str = "image.qcow2") -> str:
    """A qcow2 file outside of every pool, with content; made by `argv` where given."""
    path = f"/var/lib/libvirt/{name}"
    command = argv or ("qemu-img", "create", "-q", "-f", "qcow2", path, "8M")
    on.host.must("rm", "-f", path)
    on.host.must(*command)
    if not argv:
        on.host.must("qemu-io", "-f", "qcow2", "-c", "write -P 7 1M 1M", path)
    return path


def digest(on: Volumes, path: str) -> str:
    return str(on.host.must("sha256sum", path).split()[0])


def test_an_image_comes_into_a_pool_and_out_of_it_by_bytes(on: Volumes) -> None:
    path, out = image(on), f"{PLACE}/out.qcow2"
    said = on.cli("upload", "fast", "web.qcow2", path, "--sha256", f"sha256:{digest(on, path)}")
    assert "is made of" in said
    row = on.data("show", "fast", "web.qcow2")["volume"]
    assert (row["format"], row["capacity"]) == ("qcow2", 8 << 20)
    assert re.search(r"volume.download: (\S+ [KM]iB) of \1 \(100 %\)", on.cli("download", "fast", "web.qcow2", out))
    assert digest(on, out) == digest(on, path)
    on.refused("file.exists", "download", "fast", "web.qcow2", out)
    on.refused("volume.exists", "upload", "fast", "web.qcow2", path)


@pytest.mark.parametrize(("make", "argv", "code"), [
    ("cut off", (), "volume.source"), ("above another", (), "volume.source"), ("gzip", (), "volume.source"),
    ("whole", ("--image-format", "raw"), "volume.source"), ("empty", (), "volume.source"),
    ("none", (), "volume.source"), ("a directory", (), "volume.source"),
    ("whole", ("--sha256", "abc"), "volume.checksum"),
])  # fmt: skip
def test_what_is_no_whole_image_becomes_no_volume(on: Volumes, make: str, argv: tuple[str, ...], code: str) -> None:
    path = image(on)
    command = {
        "cut off": f"truncate -s 262144 {path}",
        "above another": f"qemu-img create -q -f qcow2 -F qcow2 -b {path} {path}.t",
        "gzip": f"printf '\\037\\213xx' > {path}", "empty": f": > {path}", "none": f"rm {path}",
        "a directory": f"rm {path}; mkdir {path}", "whole": "true",
    }[make]  # fmt: skip
    on.host.must("sh", "-c", command)
    source = f"{path}.t" if make == "above another" else path
    try:
        on.refused(code, "upload", "fast", "web.qcow2", source, *argv)
    finally:
        on.host.must("rm", "-rf", path, f"{path}.t")


def test_another_checksum_leaves_nothing(on: Volumes) -> None:
    path = image(on)
    assert "has the sha256" in on.cli("upload", "fast", "web.qcow2", path, "--sha256", "0" * 64, status=1)
    assert on.files() == ""
    assert on.host.left_open() == []


@pytest.mark.parametrize("number", range(1, 5))
def test_an_upload_that_was_killed_leaves_nothing(on: Volumes, number: int) -> None:
    path = image(on)
    on.killed(number, "upload", "fast", "web.qcow2", path)
    on.host.restart(daemon=False)
    on.host.recover_uninstalled()
    assert on.files() == ""
    assert on.host.left_open() == []
    on.cli("upload", "fast", "web.qcow2", path)


@pytest.mark.parametrize("number", [1, 2])
def test_a_download_that_was_killed_leaves_nothing(on: Volumes, number: int) -> None:
    on.cli("create", "fast", "a.qcow2", "--size", "8M")
    out = f"{PLACE}/out.qcow2"
    on.killed(number, "download", "fast", "a.qcow2", out)
    on.host.recover_uninstalled()
    assert on.host.must("find", PLACE, "-maxdepth", "1", "-type", "f") == ""
    assert on.host.left_open() == []


def test_what_a_guest_writes_to_or_lies_above_another_is_not_copied_out(on: Volumes) -> None:
    on.cli("create", "fast", "a.qcow2", "--size", "8M")
    on.cli("clone", "fast", "a.qcow2", "top.qcow2", "--linked")
    on.refused("volume.format", "download", "fast", "top.qcow2", f"{PLACE}/out.qcow2")
    on.cli("create", "fast", "b.qcow2", "--size", "8M")
    on.guest("b.qcow2", start=True)
    on.refused("volume.busy", "download", "fast", "b.qcow2", f"{PLACE}/out.qcow2")
