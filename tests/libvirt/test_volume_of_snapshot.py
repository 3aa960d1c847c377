"""Volumes of what a snapshot has kept of a disk, on a real libvirtd: by bytes, beside a guest that goes on writing."""

from __future__ import annotations

import pytest
import snapshot_lab
from somebody import NOBODY
from template_lab import PLACE, Templates
from volume_lab import MEMBERS

pytest.importorskip("libvirt")
pytest.importorskip("vfioctl_storage")
pytest.importorskip("vfioctl_snapshot")

POOL = f"{PLACE}/fast"
NEW = f"{POOL}/new.qcow2"


@pytest.fixture
def on(templates: Templates) -> Templates:
    """The volume web.qcow2 has bytes in it."""
    templates.cli("volume", "create", "fast", "web.qcow2", "--size", "8M")
    templates.host.must("qemu-io", "-f", "qcow2", "-c", "write -P 7 1M 1M", f"{POOL}/web.qcow2")
    return templates


@pytest.fixture
def owner(on: Templates) -> snapshot_lab.Guest:
    """A guest of that volume, which has written over the bytes since its snapshot `before`."""
    made = snapshot_lab.Guest(on.host)
    on.host.must("rm", *made.sources.values())
    made.define({"vda": (f"{POOL}/web.qcow2", "qcow2")})
    on.host.done("create", made.name, "before")
    on.host.must("qemu-io", "-f", "qcow2", "-c", "write -P 9 1M 1M", made.sources["vda"])
    return made


def argv(owner: snapshot_lab.Guest, *more: str, pool: str = "fast") -> tuple[str, ...]:
    return ("volume", "create", pool, "new.qcow2", "--snapshot", f"{owner.name}@before", *more)


def reads(on: Templates, pattern: str, path: str = NEW) -> None:
    said = on.host.must("qemu-io", "-r", "-U", "-f", "qcow2", "-c", f"read -P {pattern}", path)
    assert "failed" not in said, said


@pytest.mark.parametrize("linked", [False, True], ids=["whole", "linked"])
@pytest.mark.parametrize("runs", [False, True], ids=["off", "running"])
def test_it_has_the_bytes_of_the_snapshot(
    on: Templates, owner: snapshot_lab.Guest, *, linked: bool, runs: bool
) -> None:
    if runs:
        on.host.lab.virsh("start", owner.name)
    on.cli(*argv(owner, *(["--linked"] if linked else [])))
    reads(on, "7 1M 1M")
    row = on.data("volume", "show", "fast", "new.qcow2")["volume"]
    assert (row["capacity"], row["format"], row["backing"]) == (8 << 20, "qcow2", f"{POOL}/web.qcow2" if linked else "")
    on.host.must("qemu-io", "-f", "qcow2", "-c", "write -P 3 1M 1M", NEW)
    if runs:
        on.host.lab.virsh("destroy", owner.name)
    reads(on, "9 1M 1M", owner.sources["vda"])
    reads(on, "7 1M 1M", f"{POOL}/web.qcow2")


def test_a_snapshot_below_a_volume_is_not_deleted(on: Templates, owner: snapshot_lab.Guest) -> None:
    on.cli(*argv(owner, "--linked"))
    said = on.host.refused("delete", owner.name, "before", "--yes")
    assert NEW in said
    reads(on, "7 1M 1M")
    on.cli("volume", "delete", "fast", "new.qcow2", "--yes")
    on.host.done("delete", owner.name, "before", "--yes")


def test_one_that_was_copied_outlives_its_snapshot(on: Templates, owner: snapshot_lab.Guest) -> None:
    on.cli(*argv(owner, "--image-format", "raw"))
    on.host.done("delete", owner.name, "before", "--yes")
    assert "failed" not in on.host.must("qemu-io", "-r", "-f", "raw", "-c", "read -P 7 1M 1M", NEW)


@pytest.mark.parametrize(("more", "code"), [
    (("--size", "16M"), "volume.origin"), (("--template", "base"), "volume.origin"),
    (("--preallocation", "full"), "volume.preallocation"), (("--disk", "vdb"), "volume.no_snapshot"),
    (("--linked", "--image-format", "raw"), "volume.format"),
])  # fmt: skip
def test_what_cannot_be_is_refused(
    on: Templates, owner: snapshot_lab.Guest, more: tuple[str, ...], code: str
) -> None:
    on.refused(code, *argv(owner, *more))


@pytest.mark.parametrize(("more", "code"), [
    (("--size", "1M", "--linked"), "volume.origin"), (("--size", "1M", "--disk", "vda"), "volume.origin"),
    (("--snapshot", "web"), "volume.no_snapshot"), ((), "volume.no_size"),
])  # fmt: skip
def test_words_that_do_not_say_one_thing_are_refused(on: Templates, more: tuple[str, ...], code: str) -> None:
    on.refused(code, "volume", "create", "fast", "new.qcow2", *more)


def test_a_linked_one_stays_beside_the_image(on: Templates, owner: snapshot_lab.Guest) -> None:
    """Where `snapshot delete` would not look for it, its image would be taken from below it."""
    on.cli("pool", "create", "slow", "--path", f"{PLACE}/slow")
    try:
        assert "pool fast" in on.refused("volume.origin", *argv(owner, "--linked", pool="slow"))
        on.cli(*argv(owner, pool="slow"))
        reads(on, "7 1M 1M", f"{PLACE}/slow/new.qcow2")
    finally:
        on.host.lab.virsh("pool-destroy", "slow")
        on.host.lab.virsh("pool-undefine", "slow")


@pytest.mark.parametrize("linked", [False, True], ids=["whole", "linked"])
@pytest.mark.parametrize("number", [1, 2])
def test_of_one_that_was_killed_nothing_is_left(
    on: Templates, owner: snapshot_lab.Guest, number: int, *, linked: bool
) -> None:
    before = on.files()
    on.killed(number, *argv(owner, *(["--linked"] if linked else [])))
    on.host.recover_uninstalled()
    assert (on.files(), on.host.left_open()) == (before, [])


def test_a_member_of_the_group_libvirt_makes_it(on: Templates, owner: snapshot_lab.Guest) -> None:
    done = on.host.cli_of(NOBODY, MEMBERS, *argv(owner))
    assert done.returncode == 0, done.stdout + done.stderr
    reads(on, "7 1M 1M")
