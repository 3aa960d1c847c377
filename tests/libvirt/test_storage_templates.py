"""`vfioctl template` as a user runs it, on a real libvirtd: what is kept, what is made of it, what keeps it."""

from __future__ import annotations

import json

import pytest
import snapshot_lab
from somebody import NOBODY
from template_lab import PLACE, SOURCE, Templates
from volume_lab import MEMBERS

pytest.importorskip("libvirt")
pytest.importorskip("vfioctl_storage")

IMAGE = f"{PLACE}/fast/_templates_/tiny.qcow2"
RECORD = f"{PLACE}/fast/_templates_/tiny.metadata.yaml"
ADD = ("template", "add", "tiny", "--pool", "fast", "--file", SOURCE)
BOUNDARIES = 14  # two a step


@pytest.fixture
def on(templates: Templates) -> Templates:
    return templates


def test_a_template_is_kept_used_and_removed_without_a_trace(on: Templates) -> None:
    before = on.files()
    on.cli(*ADD, "--sha256", on.digest(SOURCE), "--os", "tiny", "--tag", "a", "--tag", "b")
    row, = on.data("template", "list")["templates"]
    assert {key: row[key] for key in ("name", "pool", "os", "size", "tags", "sha256", "format", "path")} == {
        "name": "tiny", "pool": "fast-templates", "os": "tiny", "size": 8 << 20, "tags": ["a", "b"],
        "sha256": on.digest(SOURCE), "format": "qcow2", "path": IMAGE,
    }  # fmt: skip
    assert on.digest(IMAGE) == on.digest(SOURCE)
    assert on.host.must("stat", "-c", "%a", IMAGE).strip() == "444"
    on.cli("volume", "create", "fast", "web.qcow2", "--size", "32M", "--template", "tiny")
    shown = on.data("volume", "show", "fast", "web.qcow2")["volume"]
    assert (shown["capacity"], shown["backing"]) == (32 << 20, IMAGE)
    assert on.data("template", "show", "fast/tiny")["template"]["above"] == [f"{PLACE}/fast/web.qcow2"]
    on.refused("template.used", "template", "delete", "tiny", "--yes")
    on.refused("volume.used", "volume", "delete", "fast-templates", "tiny.metadata.yaml", "--yes")
    on.cli("volume", "delete", "fast", "web.qcow2", "--yes")
    on.cli("template", "delete", "tiny", "--yes")
    on.cli("pool", "delete", "fast-templates", "--yes")
    assert on.files() == before


def test_the_pool_that_a_template_was_made_beside_goes_and_that_of_the_templates_stays(on: Templates) -> None:
    on.cli(*ADD)
    on.cli("pool", "delete", "fast", "--yes")
    assert [row["name"] for row in on.data("pool", "list")["pools"]] == ["fast-templates"]
    assert on.digest(IMAGE) == on.digest(SOURCE)


def test_what_is_said_of_a_template_is_written_down_shown_and_found_by(on: Templates) -> None:
    on.cli(*ADD, "--tag", "a", "--tag", "b", "--feature", "cloud-init", "--os", "o" * 100)
    record = json.loads(on.host.must("cat", RECORD))
    assert {"name", "uuid", "type", "created", "updated", "storage", "os", "source", "features", "tags",
            "description"} <= record.keys()  # fmt: skip
    assert (record["type"], record["storage"], record["features"]) == ("disk", "fast-templates", ["cloud-init"])
    shown = on.cli("template", "show", "tiny")
    assert f"uuid     {record['uuid']}" in shown
    assert "type     disk" in shown
    assert "features cloud-init" in shown
    for tags, found in ((("b", "a"), ["tiny"]), (("a", "c"), [])):
        argv = [word for tag in tags for word in ("--tag", tag)]
        assert [row["name"] for row in on.data("template", "list", *argv)["templates"]] == found
    on.cli("template", "update", "tiny", "--file", SOURCE)
    newer = on.data("template", "show", "tiny")["template"]
    assert (newer["created"], newer["features"], newer["name"]) == (record["created"], ["cloud-init"], "tiny@2")


@pytest.mark.parametrize(("option", "words"), [
    ("--description", "d" * 70_000), ("--os", "o" * 3000), ("--tag", "t" * 101), ("--feature", "a\nb"),
])  # fmt: skip
def test_what_is_too_long_or_of_several_lines_is_refused(on: Templates, option: str, words: str) -> None:
    assert option in on.refused("template.words", *ADD, option, words)


@pytest.mark.parametrize(("code", "argv"), [
    ("volume.used", ("volume", "resize", "fast-templates", "tiny.qcow2", "+1G")),
    ("volume.used", ("volume", "compact", "fast-templates", "tiny.qcow2")),
    ("volume.used", ("volume", "delete", "fast-templates", "tiny.qcow2", "--yes")),
    ("volume.used", ("volume", "create", "fast-templates", "new.qcow2", "--size", "1M")),
    ("volume.used", ("volume", "upload", "fast-templates", "new.qcow2", SOURCE)),
    ("volume.used", ("volume", "clone", "fast", "web.qcow2", "new.qcow2", "--to", "fast-templates")),
    ("guest.volume", ("guest", "attach", "g", "--volume", "fast-templates/tiny.qcow2")),
    ("guest.volume", ("guest", "attach", "g", "--volume", "fast-templates/tiny.metadata.yaml")),
    ("guest.volume", ("guest", "create", "n", "--memory", "64M", "--volume", "fast-templates/tiny.qcow2")),
    ("guest.volume", ("guest", "create", "n", "--memory", "64M", "--disk", "1G", "--pool", "fast-templates")),
], ids=lambda one: " ".join(one[:3]) if isinstance(one, tuple) else one)  # fmt: skip
def test_what_nothing_is_made_of_yet_is_written_to_by_no_verb(
    on: Templates, code: str, argv: tuple[str, ...]
) -> None:
    on.cli(*ADD)
    on.cli("volume", "create", "fast", "web.qcow2", "--size", "8M")
    guest = snapshot_lab.Guest(on.host)
    on.refused(code, *(guest.name if word == "g" else word for word in argv))
    on.cli("template", "verify", "tiny")


def test_a_template_that_a_guest_comes_to_stays(on: Templates) -> None:
    on.cli(*ADD)
    on.cli("volume", "create", "fast", "web.qcow2", "--template", "tiny")
    assert on.data("volume", "show", "fast", "web.qcow2")["volume"]["capacity"] == 8 << 20
    guest = snapshot_lab.Guest(on.host)
    guest.define({"vda": (f"{PLACE}/fast/web.qcow2", "qcow2")})
    assert on.data("template", "show", "tiny")["template"]["guests"] == [guest.name]
    on.refused("template.used", "template", "delete", "tiny", "--yes")


GUEST = ("guest", "create", "web", "--memory", "64M", "--template", "tiny", "--pool", "fast")
MADE = f"{PLACE}/fast/web.qcow2"


def test_a_guest_of_a_template_sees_what_is_in_it_and_leaves_it_behind(on: Templates) -> None:
    pytest.importorskip("vfioctl_guest")
    on.cli(*ADD)
    before = on.files()
    on.cli(*GUEST, "--disk", "32M", "--disk", "8M")
    shown = on.data("guest", "show", "web")["guest"]
    assert [one["source"] for one in shown["disks"]] == [MADE, MADE.replace(".qcow2", "-2.qcow2")]
    info = json.loads(on.host.must("qemu-img", "info", "--output=json", MADE))
    assert (info["virtual-size"], info["backing-filename"]) == (32 << 20, IMAGE)
    on.host.must("qemu-io", "-r", "-f", "qcow2", "-c", "read -P 7 1M 1M", MADE)
    assert on.data("template", "show", "tiny")["template"]["guests"] == ["web"]
    on.refused("template.used", "template", "delete", "tiny", "--yes")
    on.cli("guest", "delete", "web", "--yes")
    assert on.files() == before


def test_a_guest_gets_a_disk_as_large_as_its_template_and_none_that_is_smaller(on: Templates) -> None:
    pytest.importorskip("vfioctl_guest")
    on.cli(*ADD)
    on.refused("guest.smaller", *GUEST, "--disk", "4M")
    on.refused("template.unknown", *GUEST[:-3], "tyni", *GUEST[-2:])
    on.cli(*GUEST)
    assert on.data("volume", "show", "fast", "web.qcow2")["volume"]["capacity"] == 8 << 20


@pytest.mark.matrix
@pytest.mark.parametrize("number", range(1, 5))  # volume, define
def test_a_guest_of_a_template_that_was_killed_leaves_nothing(on: Templates, number: int) -> None:
    pytest.importorskip("vfioctl_guest")
    on.cli(*ADD)
    before = on.files()
    on.killed(number, *GUEST)
    on.host.recover()
    assert (on.files(), on.host.left_open()) == (before, [])


def test_a_cd_is_no_template_of_a_disk(on: Templates) -> None:
    on.host.iso("/tmp/a.iso")
    on.host.must("cp", "/tmp/a.iso", f"{PLACE}/fast/a.iso")
    on.cli("pool", "refresh", "fast")
    before = on.files()
    on.refused("template.iso", *ADD[:-2], "--file", "/tmp/a.iso")
    on.refused("volume.format", *ADD[:-2], "--volume", "fast/a.iso")
    assert on.files() == before


def test_nothing_is_made_of_a_template_that_was_written_to(on: Templates) -> None:
    """qemu-img check finds nothing in what lies above it."""
    on.cli(*ADD)
    assert "is as it was added" in on.cli("template", "verify", "tiny")
    on.host.must("qemu-io", "-f", "qcow2", "-c", "write -P 9 2M 64k", IMAGE)
    on.refused("template.changed", "template", "verify", "tiny")
    on.refused("template.changed", "volume", "create", "fast", "web.qcow2", "--template", "tiny")
    on.refused("template.changed", *GUEST)


@pytest.mark.parametrize(("argv", "code"), [
    (("template", "add", "7", "--pool", "fast", "--file", SOURCE), "template.bad_name"),
    (("template", "add", "other", "--pool", "fats", "--file", SOURCE), "pool.unknown"),
    ((*ADD, "--sha256", "0" * 64), "volume.checksum"), (ADD, "template.exists"),
    (("template", "add", "other", "--pool", "fast", "--file", "/etc/nothing"), "volume.source"),
    (("template", "show", "tyni"), "template.unknown"), (("template", "delete", "tiny"), "template.unconfirmed"),
    (("volume", "create", "fast", "a", "--template", "tiny", "--size", "1M"), "disk.too_small"),
    (("volume", "create", "fast", "a", "--template", "tiny", "--image-format", "raw"), "volume.preallocation"),
    (("volume", "create", "fast", "a"), "volume.no_size"),
])  # fmt: skip
def test_what_cannot_be_is_refused_and_nothing_is_changed(on: Templates, argv: tuple[str, ...], code: str) -> None:
    if argv[1] != "add" or argv is ADD:
        on.cli(*ADD)
    on.refused(code, *argv)


@pytest.mark.parametrize("edit", [
    's/"os"/"ox"/', 's/8388608/"8"/', "1s/{/{{/", '2s/.*/  "name": "a", "name": "b",/',
], ids=["an unknown key", "a wrong type", "no JSON", "a key twice"])  # fmt: skip
def test_a_damaged_record_is_named_and_never_followed(on: Templates, edit: str) -> None:
    on.cli(*ADD)
    on.host.must("sed", "-i", edit, RECORD)
    on.cli("pool", "refresh", "fast-templates")
    row, = on.data("template", "list")["templates"]
    assert RECORD in row["problem"]
    on.refused("template.damaged", "volume", "create", "fast", "a", "--template", "tiny")


def lose_the_image(on: Templates, how: str) -> None:
    if how == "vol-delete":
        on.host.lab.virsh("vol-delete", "--pool", "fast-templates", "tiny.qcow2")
    else:
        on.host.must("rm", IMAGE)
        if how == "rm and refresh":
            on.cli("pool", "refresh", "fast-templates")


@pytest.mark.parametrize("how", ["vol-delete", "rm", "rm and refresh"])
def test_one_whose_image_is_gone_is_removed_by_its_record_alone(on: Templates, how: str) -> None:
    on.cli(*ADD)
    lose_the_image(on, how)
    before, way = on.files(), "template delete fast/tiny@1"
    for code, argv in (
        ("template.damaged", ("volume", "create", "fast", "a", "--template", "tiny")), ("template.exists", ADD),
        ("volume.used", ("volume", "delete", "fast-templates", "tiny.metadata.yaml", "--yes")),
    ):  # fmt: skip
        assert way in on.refused(code, *argv)
    on.refused("template.unconfirmed", *way.split())
    assert f"its image {IMAGE} is gone" in on.cli(*way.split(), status=3)
    said = on.cli(*way.split(), "--dry-run")
    assert (said.count("volume.delete"), on.files()) == (1, before)
    on.cli(*way.split(), "--yes")
    assert on.data("template", "list")["templates"] == []
    assert RECORD not in on.files()
    on.cli(*ADD)
    on.cli("template", "verify", "tiny")


def test_one_whose_image_is_gone_stays_while_something_lies_above_it(on: Templates) -> None:
    on.cli(*ADD)
    on.cli("volume", "create", "fast", "web.qcow2", "--template", "tiny")
    lose_the_image(on, "rm and refresh")
    assert "web.qcow2" in on.refused("template.used", "template", "delete", "tiny", "--yes")
    on.cli("volume", "delete", "fast", "web.qcow2", "--yes")
    on.cli("template", "delete", "tiny", "--yes")


def test_a_damaged_record_is_deleted_as_the_volume_that_it_is(on: Templates) -> None:
    on.cli(*ADD)
    on.host.must("sed", "-i", "1s/{/{{/", RECORD)
    on.cli("pool", "refresh", "fast-templates")
    way = "volume delete fast-templates tiny.metadata.yaml"
    assert way in on.refused("template.damaged", "template", "delete", "tiny", "--yes")
    on.cli(*way.split(), "--yes")
    assert on.data("template", "list")["templates"] == []


@pytest.mark.parametrize("number", range(1, BOUNDARIES + 1))
def test_what_a_process_that_was_killed_has_made_goes(on: Templates, number: int) -> None:
    before = on.files()
    on.killed(number, *ADD)
    on.host.recover_uninstalled()
    assert on.files() == before
    assert on.host.left_open() == []


def test_the_pool_of_the_templates_stays_where_others_have_added_one_since(on: Templates) -> None:
    on.killed(BOUNDARIES - 1, *ADD)
    on.cli("template", "add", "other", "--pool", "fast", "--file", SOURCE)
    said, = (line for line in on.cli("recover").splitlines() if "was undone" in line)
    assert "The pool fast-templates stays as it is: somebody has written to other.metadata.yaml" in said
    assert said.count("stays as it is") == 1
    assert [row["name"] for row in on.data("template", "list")["templates"]] == ["other"]
    pool, = (row for row in on.data("pool", "list")["pools"] if row["name"] == "fast-templates")
    assert (pool["state"], pool["autostart"], on.host.left_open()) == ("active", True, [])


def test_a_member_of_the_group_libvirt_adds_and_uses_a_template(on: Templates) -> None:
    for argv in (ADD, ("volume", "create", "fast", "web.qcow2", "--template", "tiny")):
        done = on.host.cli_of(NOBODY, MEMBERS, *argv)
        assert done.returncode == 0, done.stdout + done.stderr
