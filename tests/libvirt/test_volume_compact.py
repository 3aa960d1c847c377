"""`vfioctl volume compact` on a real libvirtd: what comes back, who keeps it, what a crash leaves."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from somebody import NOBODY
from volume_lab import MEMBERS, POOL, Volumes, prepared, qemu_img, small_pool

from vfioctl.wait import until

pytest.importorskip("libvirt")
pytest.importorskip("vfioctl_storage")

NAME, PATH = "web.qcow2", f"{POOL}/web.qcow2"
DEADLINE = 60
COMPACT = ("compact", "fast", NAME)


@pytest.fixture(scope="module")
def host(module_lab: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return prepared(module_lab, tmp_path_factory.mktemp("compact"))


@pytest.fixture
def on(host: Any) -> Iterator[Volumes]:
    made = Volumes(host)
    made.cli("create", "fast", NAME, "--size", "16M")
    swell(made, PATH)
    yield made
    made.remove()


def swell(on: Volumes, path: str) -> None:
    """Eight MiB are written, and all but one given up or filled with zeros."""
    for command in ("write -P 7 0 8M", "discard 1M 4M", "write -P 0 5M 3M"):
        on.host.must("qemu-io", "-f", "qcow2", "-c", command, path)
    on.host.must("sh", "-c", f"fallocate -l $(stat -c %s {path}) {path}")  # as where nothing lets go of room


def seen(on: Volumes, path: str = PATH) -> str:
    """The checksum of what a guest sees."""
    on.host.must("qemu-img", "convert", "-U", "-f", "qcow2", "-O", "raw", path, "/var/seen.raw")
    return str(on.host.must("sha256sum", "/var/seen.raw").split()[0])


def looks(on: Volumes, path: str = PATH) -> str:
    return str(on.host.must("stat", "-c", "%a %u %g %Y", path))


def test_room_comes_back_and_the_guest_sees_the_same(on: Volumes) -> None:
    before, looked = seen(on), looks(on)
    shown = on.data(*COMPACT)["volume"]
    assert shown["freed"] >= 7 << 20
    assert shown["estimate"] >= 3 << 20
    assert shown["former"] - shown["allocation"] == shown["freed"]
    assert on.data("show", "fast", NAME)["volume"]["allocation"] == shown["allocation"]
    assert (seen(on), looks(on), on.names()) == (before, looked, [NAME])
    assert "takes no less room" in on.cli(*COMPACT)


def test_how_much_comes_back_is_said(on: Volumes) -> None:
    assert "before" in (said := on.cli(*COMPACT))
    assert "came back" in said


def test_an_image_with_nothing_in_it_is_written_anew(on: Volumes) -> None:
    on.cli("create", "fast", "empty.qcow2", "--size", "8M")
    assert on.data("compact", "fast", "empty.qcow2", "--dry-run")["volume"]["name"] == "empty.qcow2"
    assert on.data("compact", "fast", "empty.qcow2")["operation"]["ok"]


def test_a_dry_run_estimates_and_changes_nothing(on: Volumes) -> None:
    before = on.files()
    data = on.data(*COMPACT, "--dry-run")
    assert data["volume"]["estimate"] >= 3 << 20
    assert [one["kind"] for one in data["steps"]] == ["volume.compact"]
    assert on.files() == before


def test_a_running_guest_keeps_it_by_any_chain(on: Volumes) -> None:
    on.cli("clone", "fast", NAME, "top.qcow2", "--linked")
    guest = on.guest("top.qcow2", start=True)
    assert guest.name in on.refused("volume.busy", *COMPACT)
    on.refused("volume.busy", "compact", "fast", "top.qcow2")
    on.host.lab.virsh("managedsave", guest.name)
    on.refused("domain.saved", *COMPACT)


def test_what_a_guest_that_is_off_has_and_what_lies_above_it_stay_the_same(on: Volumes) -> None:
    on.cli("clone", "fast", NAME, "top.qcow2", "--linked")
    swell(on, f"{POOL}/top.qcow2")
    on.guest("top.qcow2")
    before = seen(on, f"{POOL}/top.qcow2")
    on.cli(*COMPACT)
    on.cli("compact", "fast", "top.qcow2")
    assert seen(on, f"{POOL}/top.qcow2") == before
    row = on.data("show", "fast", "top.qcow2")["volume"]
    assert (row["backing"], row["backing_format"]) == (PATH, "qcow2")


def test_a_guest_that_starts_after_the_plan_is_asked_about_again(on: Volumes) -> None:
    guest, before = on.guest(NAME), seen(on)
    with on.host.standing_still(1, "volume", *COMPACT) as process:
        on.host.lab.virsh("start", guest.name)
    assert process.returncode not in (0, 4)
    on.host.lab.virsh("destroy", guest.name)
    assert (seen(on), on.names(), on.host.left_open()) == (before, [NAME], [])


def test_another_file_of_its_name_that_comes_in_between_stays(on: Volumes) -> None:
    with on.host.standing_still(1, "volume", *COMPACT) as process:
        on.host.must("sh", "-c", f"cp {PATH} {PATH}.theirs && mv {PATH}.theirs {PATH}")
        theirs = on.files()
    assert process.returncode not in (0, 4)
    assert (on.files(), on.host.left_open()) == (theirs, [])


@pytest.mark.parametrize(("make", "code"), [
    (("qemu-img", "snapshot", "-c", "old", PATH), "disk.unsupported"),
    (("ln", PATH, f"{POOL}/second"), "disk.unsupported"),
    (("qemu-img", "create", "-q", "-f", "raw", PATH, "1M"), "volume.format"),
    (("sh", "-c", f"printf '\\377\\377\\377\\377' | dd of={PATH} bs=1 seek=262144 conv=notrunc"), "disk.unsupported"),
], ids=["snapshots inside", "a second name", "raw", "damaged"])  # fmt: skip
def test_what_cannot_be_written_anew_is_refused(on: Volumes, make: tuple[str, ...], code: str) -> None:
    on.host.must(*make)
    on.host.lab.virsh("pool-refresh", "fast")
    on.refused(code, *COMPACT)


def test_the_image_of_a_template_stays(on: Volumes) -> None:
    done = on.host.cli("template", "add", "gold", "--pool", "fast", "--volume", f"fast/{NAME}")
    assert done.returncode == 0, done.stderr
    image = on.data("list", "fast-templates")["volumes"][0]["name"]
    on.refused("volume.used", "compact", "fast-templates", image)
    for verb in ("pool-destroy", "pool-undefine"):
        on.host.lab.virsh(verb, "fast-templates")


def test_only_root_writes_it_anew(on: Volumes) -> None:
    before = on.files()
    ended = on.host.cli_of(NOBODY, MEMBERS, "volume", *COMPACT)
    assert "[not_root]" in ended.stderr
    assert on.files() == before


@pytest.mark.matrix
@pytest.mark.parametrize("restarted", [False, True], ids=["at once", "after a power cut"])
@pytest.mark.parametrize("number", [1, 2])
def test_killed_at_a_boundary_it_is_whole_and_nothing_is_left(on: Volumes, number: int, *, restarted: bool) -> None:
    before = seen(on)
    on.killed(number, *COMPACT)
    if restarted:
        on.host.restart(daemon=False)
    on.host.recover_uninstalled()
    assert (seen(on), on.names(), on.host.left_open()) == (before, [NAME], [])
    assert on.host.must("find", POOL, "-name", ".*", "-type", "f") == ""
    on.cli(*COMPACT)


SLOW = """#!/bin/sh
[ "$1" = convert ] && copy=yes
/var/qemu-img "$@" || exit
if [ "$copy" ]; then touch /var/copied; while ! [ -e /var/go ]; do sleep 0.05; done; fi
"""


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL], ids=["^C", "SIGKILL"])
def test_stopped_in_the_middle_it_is_whole_and_nothing_is_left(on: Volumes, sent: signal.Signals) -> None:
    before = seen(on)
    with qemu_img(on, SLOW):
        process = on.host.started("volume", *COMPACT)
        assert until(lambda: on.host.run("test", "-e", "/var/copied").returncode == 0, DEADLINE)
        assert len(on.host.must("find", POOL, "-type", "f").split()) == 1 + 1
        process.send_signal(sent)
        assert process.wait(DEADLINE) not in (0, 4)
    on.host.recover_uninstalled()
    assert (seen(on), on.names(), on.host.left_open()) == (before, [NAME], [])
    assert on.host.must("find", POOL, "-type", "f").split() == [PATH]


def test_on_a_full_disk_nothing_is_lost(on: Volumes, tmp_path: Path) -> None:
    """There is room for it as it is planned; somebody else takes that before it is used."""
    with small_pool(on.host, tmp_path) as place:
        on.cli("create", "small", NAME, "--size", "12M")
        on.host.must("qemu-io", "-f", "qcow2", "-c", "write -P 7 0 5M", f"{place}/{NAME}")
        before = seen(on, f"{place}/{NAME}")
        with on.host.standing_still(1, "volume", "compact", "small", NAME) as process:
            on.host.run("dd", "if=/dev/zero", f"of={place}/ballast", "bs=64k")
        assert process.returncode == 1
        on.cli("compact", "small", NAME, status=3)  # which is seen beforehand now
        assert set(on.host.must("find", place, "-type", "f", "-printf", "%f\n").split()) == {NAME, "ballast"}
        assert (seen(on, f"{place}/{NAME}"), on.host.left_open()) == (before, [])
