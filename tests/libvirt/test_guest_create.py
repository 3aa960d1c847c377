"""`vfioctl guest create` on a real libvirtd: what was planned is what libvirt keeps; a crash leaves nothing."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import snapshot_lab

from vfioctl.frozen import replace
from vfioctl.virt.capabilities import Capabilities

pytest.importorskip("libvirt")
pytest.importorskip("vfioctl_guest")
from vfioctl_guest.machine import Machine, board
from vfioctl_guest.machine_xml import document
from vfioctl_guest.windows import FLAGS

CAPABILITIES = Capabilities(
    "qemu", "x86_64", "pc-q35-7.2", "/usr/bin/qemu-system-x86_64", 8, 1 << 30, frozenset({"bios"}), frozenset({"vga"}),
    frozenset(), frozenset({"maximum"}),
)  # fmt: skip
MEMBER, GROUP = 65534, 1  # nobody, in the group daemon
NETWORK = "<network><name>{name}</name><forward mode='bridge'/><bridge name='br-{name}'/></network>"
POOL = snapshot_lab.IMAGES


@pytest.fixture(scope="module")
def host(open_to_the_group: None, bare_host: Any) -> Any:
    bare_host.lab.virsh("pool-define-as", "default", "dir", "--target", POOL)
    bare_host.lab.virsh("pool-start", "default")
    for name, active in (("lan", True), ("idle", False)):
        definition = bare_host.place / f"{name}.xml"
        definition.write_text(NETWORK.format(name=name))
        bare_host.lab.virsh("net-define", str(definition))
        if active:
            bare_host.lab.virsh("net-start", name)
    return bare_host


class New:
    """A guest that is to be made, with a volume that is there."""

    def __init__(self, host: Any, form: str = "qcow2") -> None:
        self.host, self.name = host, f"n{os.urandom(4).hex()}"
        self.disk = f"{POOL}/{self.name}.{form}"
        host.must("qemu-img", "create", "-q", "-f", form, self.disk, "8M")
        self.volume = f"default/{self.name}.{form}"
        self.alone = (self.name, "--memory", "64M", "--cpus", "2", "--volume", self.volume)
        self.argv = (*self.alone, "--network", "lan")

    def create(self, *more: str, argv: tuple[str, ...] = ()) -> Any:
        return self.host.cli("guest", "create", *(argv or self.argv), *more)

    def done(self, *more: str) -> dict[str, Any]:
        ended = self.create(*more, "--format", "json")
        assert ended.returncode == 0, ended.stdout + ended.stderr
        found: dict[str, Any] = json.loads(ended.stdout)["data"]
        return found

    def refused(self, *argv: str) -> str:
        """What the refusal says; nothing is left of it."""
        before = self.host.files(), known(self.host)
        ended = self.create(argv=argv)
        assert ended.returncode == 3, ended.stdout + ended.stderr
        assert (self.host.files(), known(self.host), self.host.left_open()) == (*before, [])
        said: str = ended.stdout + ended.stderr
        return said

    @property
    def xml(self) -> ET.Element:
        return ET.fromstring(self.host.lab.virsh("dumpxml", "--inactive", self.name).stdout)

    @property
    def is_known(self) -> bool:
        return self.name in known(self.host)


def known(host: Any) -> list[str]:
    return sorted(host.lab.virsh("list", "--all", "--name").stdout.split())


@pytest.fixture
def new(host: Any) -> Iterator[New]:
    made = New(host)
    yield made
    host.lab.virsh("destroy", made.name, check=False)
    host.lab.virsh("undefine", made.name, "--nvram", check=False)


def test_the_guest_is_there_with_what_was_asked_for(new: New) -> None:
    shown = new.done("--autostart")["guest"]
    root = new.xml
    assert (root.findtext("uuid"), root.findtext("vcpu"), root.findtext("memory")) == (shown["uuid"], "2", "65536")
    assert [one.get("file") for one in root.iterfind("devices/disk/source")] == [new.disk]
    assert [one.get("address") for one in root.iterfind("devices/interface/mac")] == [shown["networks"][0]["mac"]]
    assert "enable" in new.host.lab.virsh("dominfo", new.name).stdout.split("Autostart:")[1]
    assert new.host.left_open() == []


def test_it_starts(new: New) -> None:
    assert new.create("--start", argv=new.alone).returncode == 0
    assert new.host.lab.state(new.name) == "running"
    mark = new.host.lab.virsh("metadata", new.name, "urn:vfioctl:started", "--config", check=False)
    assert mark.stdout.strip() == "", "it says nothing of it in 9.0, and nothing but success in 11.3"


def test_an_iso_is_a_cd_from_which_an_empty_disk_lets_it_boot(new: New) -> None:
    iso = f"{POOL}/{new.name}.iso"
    new.host.iso(iso)
    new.done("--iso", iso)
    cd = new.xml.find("devices/disk[@device='cdrom']")
    assert cd is not None
    assert (cd.find("source").get("file"), cd.find("boot").get("order")) == (iso, "2")  # type: ignore[union-attr]


@pytest.fixture
def numbered(host: Any) -> Iterator[str]:
    name = f"m{os.urandom(4).hex()}"
    yield name
    for number in range(1, 4):
        host.lab.virsh("destroy", f"{name}-{number}", check=False)
        host.lab.virsh("undefine", f"{name}-{number}", check=False)


def counted(host: Any, name: str, count: int, *more: str) -> Any:
    argv = ("create", name, "--memory", "64M", "--disk", "1M", "--count", str(count))
    return host.cli("guest", *argv, *more, "--format", "json")


def test_several_are_made_by_their_numbers_and_started(host: Any, numbered: str) -> None:
    ended = counted(host, numbered, 2, "--start")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert [host.lab.state(f"{numbered}-{number}") for number in (1, 2)] == ["running", "running"]
    rows = json.loads(ended.stdout)["data"]["guests"]
    assert len({row["guest"]["uuid"] for row in rows}) == 2


def test_where_one_of_several_cannot_be_made_the_others_stay(host: Any, numbered: str) -> None:
    taken = f"{POOL}/{numbered}-2.qcow2"
    host.must("sh", "-c", f"echo precious > {taken}")
    ended = counted(host, numbered, 3)
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert [row["made"] for row in json.loads(ended.stdout)["data"]["guests"]] == [True, False, True]
    assert "volume.exists" in ended.stdout
    assert host.must("cat", taken) == "precious\n"
    assert [name for name in known(host) if name.startswith(numbered)] == [f"{numbered}-1", f"{numbered}-3"]
    assert host.left_open() == []


def test_a_volume_is_no_disk_of_several(host: Any, new: New) -> None:
    assert "[guest.count]" in new.refused(*new.argv, "--count", "2")


def test_a_dry_run_shows_the_xml_and_changes_nothing(new: New) -> None:
    before = new.host.files(), known(new.host), new.host.left_open()
    data = new.done("--dry-run")
    assert (new.host.files(), known(new.host), new.host.left_open()) == before
    assert [step["kind"] for step in data["steps"]] == ["domain.define"]
    assert ET.fromstring(data["xml"]).findtext("name") == new.name
    text = new.create("--dry-run").stdout
    assert "domain.define" in text
    assert f"<source file=\"{new.disk}\" />" in text


@pytest.mark.parametrize(("change", "code"), [
    ({"--memory": "900T"}, "has"), ({"--memory": "1K"}, "at least 16.0 MiB"), ({"--network": "lann"}, "lan"),
    ({"--network": "idle"}, "vfioctl network start idle"),
    ({"--volume": "default/none"}, "There is no volume"), ({"--volume": "nowhere/x"}, "There is no pool"),
    ({"--cpus": "100000"}, "CPUs"), ({"--memory": "64"}, "64 MiB"), ({"--volume": "plain"}, "POOL/VOLUME"),
    ({"--hugepages": "16M"}, "no huge pages of 16.0 MiB"), ({"--hugepages": "2"}, "2 MiB"),
], ids=str)  # fmt: skip
def test_what_cannot_be_is_refused_with_the_next_step(new: New, change: dict[str, str], code: str) -> None:
    argv = list(new.argv)
    for option, value in change.items():
        if option in argv:
            argv[argv.index(option) + 1] = value
        else:
            argv += [option, value]
    assert code in new.refused(*argv)


def test_from_a_network_it_boots_first(new: New) -> None:
    new.done("--network-boot")
    orders = {one.tag: one.find("boot") for one in new.xml.iterfind("devices/*") if one.find("boot") is not None}
    assert {tag: boot.get("order") for tag, boot in orders.items() if boot is not None} == {
        "interface": "1", "disk": "2",
    }  # fmt: skip
    said = new.refused(f"{new.name}b", *new.alone[1:-2], "--disk", "8M", "--network-boot")
    assert "is on none" in said


def test_libvirt_keeps_huge_pages_and_everything_for_windows_as_it_was_written(new: New, tmp_path: Path) -> None:
    """The node may offer neither: this is what it takes, not what it can run."""
    given = board(replace(CAPABILITIES, hyperv=frozenset(FLAGS)))
    machine = Machine(new.name, str(uuid.uuid4()), 64 << 20, 1, given, page=2 << 20, windows=True)
    written = document(machine)
    (tmp_path / "new.xml").write_text(written)
    new.host.lab.virsh("define", str(tmp_path / "new.xml"))
    for place in ("memoryBacking", "features/hyperv", "clock"):
        assert flat(new.xml.find(place)) == flat(ET.fromstring(written).find(place))


def flat(element: ET.Element | None) -> list[tuple[str, dict[str, str]]]:
    return [] if element is None else [(one.tag, dict(one.attrib)) for one in element.iter()]


@pytest.mark.parametrize("name", ["7", "x y", "..", "a" * 61, "ä"])
def test_an_impossible_name_is_refused(new: New, name: str) -> None:
    assert "cannot name a guest" in new.refused(name, *new.argv[1:])


def test_a_name_that_is_taken_is_refused(new: New) -> None:
    new.done()
    other = New(new.host)
    assert "domain.exists" in other.refused(new.name, *other.argv[1:])


def test_a_disk_of_another_guest_is_refused_by_whichever_name(new: New) -> None:
    new.done()
    other = f"{POOL}/{new.name}.too.qcow2"
    new.host.must("ln", new.disk, other)
    for volume in (new.volume, f"default/{os.path.basename(other)}"):
        said = new.refused(f"{new.name}b", "--memory", "64M", "--volume", volume)
        assert f"is used by {new.name}" in said


def test_two_disks_on_one_file_are_refused_by_whichever_name(new: New) -> None:
    other = f"{POOL}/{new.name}.too.qcow2"
    new.host.must("ln", new.disk, other)
    for volume in (new.volume, f"default/{os.path.basename(other)}"):
        said = new.refused(*new.argv, "--volume", volume)
        assert "is given twice" in said
        assert "[guest.disk_in_use]" in said


def test_a_guest_without_anything_to_boot_from_is_refused(new: New) -> None:
    assert "nothing to boot from" in new.refused(new.name, "--memory", "64M")


def test_a_pool_that_is_not_active_is_named_with_the_next_step(new: New) -> None:
    new.host.lab.virsh("pool-define-as", "idle", "dir", "--target", "/var/lib/libvirt/idle")
    try:
        assert "vfioctl pool start idle" in new.refused(new.name, "--memory", "64M", "--volume", "idle/x")
    finally:
        new.host.lab.virsh("pool-undefine", "idle")


def test_what_is_no_iso_is_refused(new: New) -> None:
    said = new.refused(new.name, "--memory", "64M", "--iso", new.disk)
    assert "no ISO 9660 image" in said


def test_a_failed_start_leaves_nothing_and_the_same_command_works_afterwards(new: New) -> None:
    """The bridge of its network is not there, as libvirt finds out only then."""
    failed = new.create("--start")
    assert failed.returncode == 1, failed.stdout + failed.stderr
    assert "br-lan" in failed.stderr
    assert not new.is_known
    assert new.host.left_open() == []
    new.done()


def test_a_member_of_the_group_makes_one(new: New) -> None:
    ended = new.host.cli_of(MEMBER, GROUP, "guest", "create", *new.argv)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert new.is_known


def test_an_empty_disk_is_a_volume_of_the_pool_and_goes_with_a_failure(new: New) -> None:
    made = f"{POOL}/{new.name}.qcow2"
    new.host.must("rm", made)
    new.host.lab.virsh("pool-refresh", "default")
    argv = (new.name, "--memory", "64M", "--disk", "16M", "--disk", "8M")
    before = new.host.files()
    failed = new.create("--network", "lan", "--start", argv=argv)
    assert failed.returncode == 1, failed.stdout + failed.stderr
    assert (new.host.files(), new.is_known) == (before, False)
    assert new.create(argv=argv).returncode == 0
    paths = [one.get("file") for one in new.xml.iterfind("devices/disk/source")]
    assert paths == [made, made.replace(".qcow2", "-2.qcow2")]
    info = json.loads(new.host.must("qemu-img", "info", "--output=json", made))
    assert (info["format"], info["virtual-size"]) == ("qcow2", 16 << 20)
    assert "volume.exists" in new.refused(f"{new.name}-2", *argv[1:])


@pytest.mark.matrix
@pytest.mark.parametrize("number", range(1, 5))  # volume, define
def test_an_empty_disk_of_one_that_was_killed_goes_too(new: New, number: int) -> None:
    argv = (f"{new.name}e", "--memory", "64M", "--disk", "16M")
    before = new.host.files(), known(new.host)
    new.host.must("sh", "-c", f"rm -f /.kit/*; echo '{number} 9' > /.kit/crash")
    assert new.create(argv=argv).returncode != 0
    new.host.must("sh", "-c", "rm -f /.kit/*")
    new.host.recover()
    assert (new.host.files(), known(new.host), new.host.left_open()) == (*before, [])


# Killed at each boundary

BOUNDARIES = range(1, 7)  # two a step: define, autostart, start


def killed_at(new: New, number: int) -> None:
    new.host.must("sh", "-c", f"rm -f /.kit/*; echo '{number} 9' > /.kit/crash")
    ended = new.create("--autostart", "--start", argv=new.alone)
    new.host.must("sh", "-c", "rm -f /.kit/*")
    assert ended.returncode != 0


@pytest.mark.matrix
@pytest.mark.parametrize("how", ["at once", "after a power cut", "without plugins"])
@pytest.mark.parametrize("number", BOUNDARIES)
def test_nothing_is_left_of_one_that_was_killed(new: New, number: int, how: str) -> None:
    before = new.host.files(), known(new.host)
    killed_at(new, number)
    if how == "after a power cut":
        new.host.lab.virsh("destroy", new.name, check=False)
        new.host.restart(daemon=True)
    said = new.host.recover_uninstalled() if how == "without plugins" else new.host.recover()
    assert f"guest create guest:{new.name} was interrupted" in said
    assert (new.host.files(), known(new.host), new.host.left_open()) == (*before, [])
    assert new.create(argv=new.alone).returncode == 0, "the same command works then"


@pytest.mark.matrix
@pytest.mark.parametrize("number", BOUNDARIES)
def test_somebody_elses_guest_of_that_name_stays(new: New, number: int) -> None:
    """It comes to be while ours is half made, or in its place."""
    killed_at(new, number)
    new.host.lab.virsh("destroy", new.name, check=False)
    new.host.lab.virsh("undefine", new.name, check=False)
    theirs = new.host.lab.define(new.name)
    new.host.recover()
    assert new.host.lab.virsh("domuuid", new.name).stdout.strip() == theirs
    assert new.host.left_open() == []


@pytest.fixture
def written(new: New) -> New:
    """`new`, whose volume vfioctl has made, and somebody has written to since."""
    new.host.must("rm", new.disk)
    new.host.lab.virsh("pool-refresh", "default")
    made = new.host.cli("volume", "create", "default", f"{new.name}.qcow2", "--size", "8M")
    assert made.returncode == 0, made.stderr
    new.host.must("qemu-io", "-f", "qcow2", "-c", "write -P 7 0 64k", new.disk)
    return new


def test_a_volume_of_ours_that_was_written_to_since_is_a_disk_like_any_other(written: New) -> None:
    written.done()
    assert [one.get("file") for one in written.xml.iterfind("devices/disk/source")] == [written.disk]


def test_a_volume_of_ours_that_was_written_to_keeps_no_guest_whose_start_has_failed(written: New) -> None:
    failed = written.create("--start")
    assert failed.returncode == 1, failed.stdout + failed.stderr
    assert "br-lan" in failed.stderr
    assert (written.is_known, written.host.left_open()) == (False, [])
    written.host.must("test", "-e", written.disk)
