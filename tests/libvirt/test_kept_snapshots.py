"""Images that only a record of this host needs, on a real libvirtd: libvirt does not know what a revert has kept."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import snapshot_lab
from somebody import NOBODY
from template_lab import PLACE, Templates
from volume_lab import MEMBERS

pytest.importorskip("libvirt")
pytest.importorskip("vfioctl_storage")
pytest.importorskip("vfioctl_snapshot")

POOL = f"{PLACE}/fast"
KEPT = "web.before.qcow2"  # what the guest wrote to until it went back


@pytest.fixture
def on(templates: Templates) -> Templates:
    templates.cli("volume", "create", "fast", "web.qcow2", "--size", "8M")
    return templates


@pytest.fixture
def owner(on: Templates) -> Iterator[snapshot_lab.Guest]:
    """A guest that went back to its snapshot, which is deleted by now: its state before that is kept."""
    made = snapshot_lab.Guest(on.host)
    on.host.must("rm", *made.sources.values())
    made.define({"vda": (f"{POOL}/web.qcow2", "qcow2")})
    on.host.done("create", made.name, "before")
    on.host.must("qemu-io", "-f", "qcow2", "-c", "write -P 9 1M 1M", made.sources["vda"])
    on.host.done("revert", made.name, "before")
    on.host.done("delete", made.name, "before", "--yes")
    on.cli("pool", "refresh", "fast")
    yield made
    on.host.must("rm", "-rf", snapshot_lab.RECORDS)


def kept(on: Templates, owner: snapshot_lab.Guest) -> str:
    (name,) = on.host.names(owner.name)
    assert name.startswith("before-revert-")
    return name


@pytest.mark.parametrize("argv", [
    ("delete", "fast", KEPT, "--yes"), ("delete", "fast", KEPT, "--dry-run"), ("resize", "fast", KEPT, "+1M"),
], ids=" ".join)  # fmt: skip
def test_its_image_is_neither_removed_nor_resized(
    on: Templates, owner: snapshot_lab.Guest, argv: tuple[str, ...]
) -> None:
    name = kept(on, owner)
    said = on.refused("volume.used", "volume", *argv)
    assert f"snapshot {name} of guest {owner.name}" in said
    on.host.done("revert", owner.name, name)
    assert "failed" not in on.host.must(
        "qemu-io", "-r", "-f", "qcow2", "-c", "read -P 9 1M 1M", owner.sources["vda"]
    )


def test_it_is_shown_and_its_image_goes_with_it(on: Templates, owner: snapshot_lab.Guest) -> None:
    name = kept(on, owner)
    shown = on.data("volume", "show", "fast", KEPT)["volume"]
    assert shown["snapshots"] == [f"snapshot {name} of guest {owner.name}"]
    assert f"needed   snapshot {name}" in on.cli("volume", "show", "fast", KEPT)
    on.host.done("delete", owner.name, name, "--yes")
    on.cli("pool", "refresh", "fast")
    assert KEPT not in [one["name"] for one in on.data("volume", "list", "fast")["volumes"]]


def test_what_a_volume_lies_above_keeps_its_size(on: Templates) -> None:
    on.cli("volume", "clone", "fast", "web.qcow2", "above.qcow2", "--linked")
    assert f"{POOL}/above.qcow2" in on.refused("volume.used", "volume", "resize", "fast", "web.qcow2", "+1M")


def test_a_guest_is_not_given_it(on: Templates, owner: snapshot_lab.Guest) -> None:
    name = kept(on, owner)
    assert name in on.refused("guest.in_use", "guest", "attach", owner.name, "--volume", f"fast/{KEPT}")


@pytest.mark.parametrize("linked", [False, True], ids=["whole", "linked"])
def test_a_volume_is_made_of_it(on: Templates, owner: snapshot_lab.Guest, *, linked: bool) -> None:
    word = f"{owner.name}@{kept(on, owner)}"
    more = ["--linked"] if linked else []
    on.cli("volume", "create", "fast", "new.qcow2", "--snapshot", word, *more)
    assert "failed" not in on.host.must(
        "qemu-io", "-r", "-U", "-f", "qcow2", "-c", "read -P 9 1M 1M", f"{POOL}/new.qcow2"
    )


def test_a_template_is_made_of_it(on: Templates, owner: snapshot_lab.Guest) -> None:
    on.cli("template", "add", "kept", "--pool", "fast", "--snapshot", f"{owner.name}@{kept(on, owner)}")
    path = on.data("template", "show", "kept")["template"]["path"]
    assert "failed" not in on.host.must("qemu-io", "-r", "-f", "qcow2", "-c", "read -P 9 1M 1M", path)


def test_a_member_of_the_group_libvirt_who_cannot_see_it_removes_nothing(
    on: Templates, owner: snapshot_lab.Guest
) -> None:
    assert kept(on, owner)
    done = on.host.cli_of(NOBODY, MEMBERS, "volume", "delete", "fast", KEPT, "--yes", "--format", "json")
    assert (done.returncode, '"snapshot.unread"' in done.stdout) == (3, True), done.stdout + done.stderr
    assert KEPT in on.files()


def test_the_record_of_a_guest_that_is_gone_is_named(on: Templates, owner: snapshot_lab.Guest) -> None:
    record = f"{snapshot_lab.RECORDS}/{owner.uuid}/{kept(on, owner)}.json"
    on.host.lab.virsh("undefine", owner.name, "--snapshots-metadata")
    assert record in on.refused("volume.used", "volume", "delete", "fast", KEPT, "--yes")
    on.host.must("rm", record)
    on.cli("volume", "delete", "fast", KEPT, "--yes")


def test_a_damaged_record_keeps_what_nobody_knows(on: Templates, owner: snapshot_lab.Guest) -> None:
    record = f"{snapshot_lab.RECORDS}/{owner.uuid}/{kept(on, owner)}.json"
    on.host.must("sh", "-c", f"echo broken > {record}")
    said = on.refused("snapshot.unread", "volume", "delete", "fast", KEPT, "--yes")
    assert json.loads(said)["errors"][0]["message"].endswith("could not be read.")
    assert record in said
    on.host.lab.virsh("undefine", owner.name, "--snapshots-metadata")
    on.cli("volume", "delete", "fast", KEPT, "--yes")
