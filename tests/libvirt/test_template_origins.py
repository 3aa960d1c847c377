"""What a template is made of besides a file, on a real libvirtd: volumes, and what snapshots have kept."""

from __future__ import annotations

import pytest
import snapshot_lab
from somebody import NOBODY
from template_lab import PLACE, SOURCE, Templates
from volume_lab import MEMBERS

pytest.importorskip("libvirt")
pytest.importorskip("vfioctl_storage")

POOL = f"{PLACE}/fast"
ADD = ("template", "add", "gold", "--pool", "fast")
OF_VOLUME = (*ADD, "--volume", "fast/web.qcow2")
IMAGE = f"{POOL}/_templates_/gold.qcow2"
BOUNDARIES = 12  # two a step


@pytest.fixture
def on(templates: Templates) -> Templates:
    """The volume web.qcow2 lies above the template base, and has more than that."""
    templates.cli("template", "add", "base", "--pool", "fast", "--file", SOURCE)
    templates.cli("volume", "create", "fast", "web.qcow2", "--size", "16M", "--template", "base")
    templates.host.must("qemu-io", "-f", "qcow2", "-c", "write -P 9 12M 1M", f"{POOL}/web.qcow2")
    return templates


@pytest.fixture
def plain(templates: Templates) -> Templates:
    """The volume web.qcow2 lies above nothing, and there is no pool of templates yet."""
    templates.cli("volume", "upload", "fast", "web.qcow2", SOURCE)
    return templates


def guest(on: Templates, volume: str = "web.qcow2", *, form: str = "qcow2") -> snapshot_lab.Guest:
    made = snapshot_lab.Guest(on.host)
    on.host.must("rm", *made.sources.values())
    made.define({"vda": (f"{POOL}/{volume}", form)})
    return made


def reads(on: Templates, path: str, *patterns: str) -> None:
    for pattern in patterns:
        said = on.host.must("qemu-io", "-r", "-f", "qcow2", "-c", f"read -P {pattern}", path)
        assert "failed" not in said, said


def test_a_volume_becomes_a_whole_template_with_what_lies_below_it(on: Templates) -> None:
    on.cli(*OF_VOLUME, "--os", "web")
    row = on.data("template", "show", "gold")["template"]
    assert (row["source"], row["size"], row["os"]) == ("fast/web.qcow2", 16 << 20, "web")
    assert row["sha256"] == on.digest(IMAGE)
    assert on.host.must("stat", "-c", "%a", IMAGE).strip() == "444"
    assert on.data("volume", "show", "fast-templates", "gold.qcow2")["volume"]["backing"] == ""
    reads(on, IMAGE, "7 1M 1M", "9 12M 1M")
    on.cli("template", "verify", "gold")
    on.cli("volume", "create", "fast", "new.qcow2", "--template", "gold")
    reads(on, f"{POOL}/new.qcow2", "7 1M 1M", "9 12M 1M")


def test_what_a_volume_was_made_of_may_go_once_it_is_a_template(on: Templates) -> None:
    on.cli(*OF_VOLUME)
    on.cli("volume", "delete", "fast", "web.qcow2", "--yes")
    on.cli("template", "delete", "base", "--yes")
    on.cli("template", "verify", "gold")


@pytest.mark.parametrize("form", ["raw", "qcow2"])
def test_a_template_is_kept_in_the_format_that_is_asked_for(on: Templates, form: str) -> None:
    on.cli(*OF_VOLUME, "--image-format", form)
    row = on.data("template", "show", "gold")["template"]
    assert row["format"] == form
    assert on.data("volume", "show", "fast-templates", row["image"])["volume"]["format"] == form
    on.cli("volume", "create", "fast", "new.qcow2", "--template", "gold")


def test_the_volume_of_a_guest_that_is_not_off_is_refused_with_the_next_command(on: Templates) -> None:
    owner = guest(on)
    on.host.lab.virsh("start", owner.name)
    assert f"vfioctl guest stop {owner.name}" in on.refused("volume.busy", *OF_VOLUME)
    on.host.lab.virsh("managedsave", owner.name)
    assert f"vfioctl guest discard-saved {owner.name}" in on.refused("domain.saved", *OF_VOLUME)
    on.host.lab.virsh("managedsave-remove", owner.name)
    on.cli(*OF_VOLUME)


def test_the_disk_of_a_snapshot_becomes_a_template_while_its_guest_runs(on: Templates) -> None:
    owner = guest(on)
    on.host.done("create", owner.name, "before")
    owner.write(5)
    on.host.lab.virsh("start", owner.name)
    on.cli(*ADD, "--snapshot", f"{owner.name}@before")
    assert on.data("template", "show", "gold")["template"]["source"] == f"{owner.name}@before"
    reads(on, IMAGE, "7 1M 1M", "9 12M 1M")
    assert f"vfioctl guest stop {owner.name}" in on.refused(
        "volume.busy", "template", "add", "more", "--pool", "fast", "--volume", f"fast/{_top(owner)}",
    )  # fmt: skip


def _top(owner: snapshot_lab.Guest) -> str:
    return owner.sources["vda"].rpartition("/")[2]


def test_a_snapshot_that_a_running_libvirt_made_becomes_a_template(on: Templates) -> None:
    owner = guest(on)
    on.host.lab.virsh("start", owner.name)
    on.host.lab.virsh("snapshot-create-as", owner.name, "live", "--disk-only")
    on.cli(*ADD, "--snapshot", f"{owner.name}@live", "--disk", "vda")
    reads(on, IMAGE, "7 1M 1M", "9 12M 1M")


@pytest.mark.parametrize(("argv", "code"), [
    ((), "template.origin"), (("--file", SOURCE, "--volume", "fast/web.qcow2"), "template.origin"),
    (("--volume", "web.qcow2"), "template.origin"), (("--snapshot", "before"), "volume.no_snapshot"),
    (("--volume", "fast/web.qcow2", "--sha256", "0" * 64), "template.origin"),
    (("--volume", "fast/web.qcow2", "--disk", "vda"), "template.origin"),
    (("--volume", "fast/wbe.qcow2"), "volume.unknown"), (("--volume", "fats/web.qcow2"), "pool.unknown"),
    (("--snapshot", "none@before"), "guest.unknown"), (("--snapshot", "{guest}@bfore"), "volume.no_snapshot"),
    (("--snapshot", "{guest}@inside"), "volume.no_snapshot"),
    (("--snapshot", "{guest}@before", "--disk", "vdb"), "volume.no_snapshot"),
])  # fmt: skip
def test_what_cannot_be_is_refused_and_nothing_is_changed(on: Templates, argv: tuple[str, ...], code: str) -> None:
    if argv[:1] == ("--snapshot",):
        on.cli("volume", "create", "fast", "other.qcow2", "--size", "8M")
        owner = guest(on, "other.qcow2")
        if "{guest}@inside" in argv:
            on.host.lab.virsh("snapshot-create-as", owner.name, "inside")
        else:
            on.host.done("create", owner.name, "before")
        argv = tuple(word.replace("{guest}", owner.name) for word in argv)
    on.refused(code, *ADD, *argv)


def test_a_snapshot_outside_of_every_pool_names_the_directory(templates: Templates) -> None:
    owner = snapshot_lab.Guest(templates.host)
    templates.host.done("create", owner.name, "before")
    said = templates.refused("volume.outside", *ADD, "--snapshot", f"{owner.name}@before")
    assert f"vfioctl pool create NAME --path {PLACE}" in said


def test_a_dry_run_changes_nothing(plain: Templates) -> None:
    before = plain.files()
    found = plain.data(*OF_VOLUME, "--dry-run")
    assert [step["kind"] for step in found["steps"]][-3:] == ["volume.clone", "volume.create", "template.record"]
    assert found["template"]["sha256"] is None
    assert plain.files() == before


@pytest.mark.matrix
@pytest.mark.parametrize("restarted", [False, True], ids=["at once", "after a restart"])
@pytest.mark.parametrize("number", range(1, BOUNDARIES + 1))
def test_what_a_process_that_was_killed_has_made_goes(plain: Templates, number: int, *, restarted: bool) -> None:
    before = plain.files()
    plain.killed(number, *OF_VOLUME)
    if restarted:
        plain.host.restart(daemon=False)
    plain.host.recover_uninstalled()
    assert plain.files() == before
    assert plain.host.left_open() == []


def test_a_volume_of_that_name_that_somebody_makes_meanwhile_stays(on: Templates) -> None:
    """Of the same size and format, where the template was to be."""
    on.killed(1, *OF_VOLUME)
    on.host.lab.virsh("vol-create-as", "fast-templates", "gold.qcow2", "16M", "--format", "qcow2")
    before = on.files()
    assert "made by somebody else" in on.host.recover()
    assert on.files() == before


def test_a_member_of_the_group_libvirt_makes_a_template_of_a_volume(on: Templates) -> None:
    done = on.host.cli_of(NOBODY, MEMBERS, *OF_VOLUME)
    assert done.returncode == 0, done.stdout + done.stderr
    assert on.data("template", "show", "gold")["template"]["sha256"] == on.digest(IMAGE)
