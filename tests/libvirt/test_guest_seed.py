"""The seed of a new guest on a real libvirtd: a private volume with what was asked for, which never outlives it."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import snapshot_lab

from vfioctl.wait import until

pytest.importorskip("libvirt")
pytest.importorskip("vfioctl_guest")
pycdlib = pytest.importorskip("pycdlib")

MEMBER, GROUP = 65534, 1  # nobody, in the group daemon
POOL = snapshot_lab.IMAGES
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIVP4fYoRRyHfTEjM4AzRM9ZJPqVGm8Uue8ZKPDmRDFx ada@laptop"
SECRET = "$6$rounds=4096$saltsalt$" + "Zx3" * 28 + "aa"
PASSWORD = "correct horse battery staple"


@pytest.fixture(scope="module")
def host(open_to_the_group: None, bare_host: Any) -> Any:
    bare_host.lab.virsh("pool-define-as", "default", "dir", "--target", POOL)
    bare_host.lab.virsh("pool-start", "default")
    definition = bare_host.place / "lan.xml"
    definition.write_text("<network><name>lan</name><forward mode='bridge'/><bridge name='br-lan'/></network>")
    bare_host.lab.virsh("net-define", str(definition))
    bare_host.lab.virsh("net-start", "lan")
    for name, text in (("key.pub", KEY), ("hash", SECRET), ("password", PASSWORD)):
        bare_host.must("sh", "-c", f"printf '%s\\n' '{text}' > /etc/{name}")
    return bare_host


class Seeded:
    """A guest that is to be made with an empty disk and a seed."""

    def __init__(self, host: Any) -> None:
        self.host, self.name = host, f"s{os.urandom(4).hex()}"
        self.file = f"{POOL}/{self.name}-seed.iso"
        self.plain = (self.name, "--memory", "64M", "--disk", "4M")
        self.person = ("--user", "ada", "--ssh-key", "/etc/key.pub", "--password-hash-file", "/etc/hash")

    def vfioctl(self, *argv: str) -> str:
        ended = self.host.cli(*argv)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        said: str = ended.stdout + ended.stderr
        return said

    def create(self, *more: str) -> str:
        return self.vfioctl("guest", "create", *self.plain, *self.person, *more)

    @property
    def xml(self) -> ET.Element:
        return ET.fromstring(self.host.lab.virsh("dumpxml", "--inactive", self.name).stdout)

    @property
    def content(self) -> dict[str, str]:
        """What a guest reads in its seed."""
        found, image = {}, pycdlib.PyCdlib()
        data = self.host.must("sh", "-c", f"od -An -v -tx1 {self.file}")
        image.open_fp(io.BytesIO(bytes.fromhex("".join(data.split()))))
        for child in image.list_children(rr_path="/"):
            if child.is_file():
                name, read = child.rock_ridge.name().decode(), io.BytesIO()
                image.get_file_from_iso_fp(read, rr_path=f"/{name}")
                found[name] = read.getvalue().decode()
        image.close()
        return found

    @property
    def is_there(self) -> bool:
        return self.file in self.host.files()

    @property
    def is_a_disk(self) -> bool:
        return self.file in [one.get("file") for one in self.xml.iterfind("devices/disk/source")]


@pytest.fixture
def guest(host: Any) -> Iterator[Seeded]:
    made = Seeded(host)
    yield made
    host.must("sh", "-c", "rm -f /.kit/*")
    host.lab.virsh("destroy", made.name, check=False)
    host.lab.virsh("undefine", made.name, check=False)
    host.must("sh", "-c", f"rm -f {POOL}/{made.name}*")
    host.lab.virsh("pool-refresh", "default")


def known(host: Any) -> list[str]:
    return sorted(host.lab.virsh("list", "--all", "--name").stdout.split())


def test_the_guest_has_it_as_a_private_read_only_disk_with_what_was_asked_for(guest: Seeded) -> None:
    guest.create("--network", "lan", "--address", "192.168.7.2/24", "--gateway", "192.168.7.1", "--dns", "9.9.9.9")
    root = guest.xml
    disk = next(one for one in root.iterfind("devices/disk") if one.find(f"source[@file='{guest.file}']") is not None)
    assert (disk.get("type"), disk.find("driver").get("type")) == ("file", "raw")  # type: ignore[union-attr]
    assert disk.find("readonly") is not None
    mode = int(guest.host.must("stat", "-c", "%f", guest.file), 16)
    assert stat.S_IMODE(mode) == 0o600
    content, mac = guest.content, root.find("devices/interface/mac").get("address")  # type: ignore[union-attr]
    assert content["meta-data"] == f"instance-id: {root.findtext('uuid')}\nlocal-hostname: {guest.name}\n"
    assert content["user-data"].startswith("#cloud-config\n")
    assert KEY in content["user-data"]
    assert SECRET in content["user-data"]
    assert f'macaddress: "{mac}"' in content["network-config"]
    assert guest.host.left_open() == []
    assert f"seed       {guest.file}" in guest.vfioctl("guest", "show", guest.name)


def test_a_password_is_only_there_as_its_hash(guest: Seeded) -> None:
    guest.person = ("--user", "ada", "--password-file", "/etc/password")
    guest.create()
    assert 'passwd: "$6$' in guest.content["user-data"]
    assert PASSWORD not in guest.content["user-data"]


def test_a_dry_run_and_the_history_say_nothing_of_the_secret(guest: Seeded) -> None:
    before = guest.host.files(), known(guest.host), guest.host.left_open()
    said = guest.create("--dry-run") + guest.create("--dry-run", "--format", "json")
    assert (guest.host.files(), known(guest.host), guest.host.left_open()) == before
    said += guest.create("--format", "json") + guest.vfioctl("history", "--format", "json")
    assert guest.name in said
    for secret in (SECRET, KEY, "saltsalt"):
        assert secret not in said
    left = guest.host.must("sh", "-c", "grep -rlF saltsalt /var/lib/vfioctl /run/vfioctl /var/log || true")
    assert left.strip() == ""


def test_it_lies_in_the_pool_of_the_first_disk(guest: Seeded) -> None:
    place = "/var/lib/libvirt/other"
    guest.host.must("sh", "-c", f"mkdir -p {place} && qemu-img create -q -f qcow2 {place}/{guest.name}.qcow2 4M")
    for argv in ("pool-define-as", "other", "dir", "--target", place), ("pool-start", "other"):
        guest.host.lab.virsh(*argv)
    try:
        volume = ("--volume", f"other/{guest.name}.qcow2")
        guest.vfioctl("guest", "create", guest.name, "--memory", "64M", *volume, "--disk", "1M", *guest.person)
        sources = [one.get("file") for one in guest.xml.iterfind("devices/disk/source")]
        one, other, seed = (f"{guest.name}{end}" for end in (".qcow2", ".qcow2", "-seed.iso"))
        assert sources == [f"{place}/{one}", f"{POOL}/{other}", f"{place}/{seed}"]
    finally:
        guest.host.lab.virsh("undefine", guest.name, check=False)
        guest.host.lab.virsh("pool-destroy", "other")
        guest.host.lab.virsh("pool-undefine", "other")
        guest.host.must("rm", "-r", place)


def test_without_a_word_of_it_there_is_no_seed(guest: Seeded) -> None:
    guest.person = ()
    guest.create()
    assert (guest.is_there, guest.is_a_disk, guest.xml.find("metadata")) == (False, False, None)


def test_a_file_of_its_name_is_not_taken(guest: Seeded) -> None:
    guest.host.must("sh", "-c", f"printf precious > {guest.file}")
    before = guest.host.files(), known(guest.host)
    ended = guest.host.cli("guest", "create", *guest.plain, *guest.person)
    assert ended.returncode == 3, ended.stdout + ended.stderr
    assert "volume.exists" in ended.stdout + ended.stderr
    assert (guest.host.files(), known(guest.host), guest.host.left_open()) == (*before, [])
    assert guest.host.must("cat", guest.file) == "precious"


@pytest.mark.parametrize("more", [(), ("--keep-disks",)], ids=["all", "keep-disks"])
def test_it_goes_with_the_guest_even_where_the_disks_stay(guest: Seeded, more: tuple[str, ...]) -> None:
    before = guest.host.files()
    guest.create()
    said = guest.vfioctl("guest", "delete", guest.name, "--yes", *more)
    assert guest.file in said
    assert guest.host.files() - before == ({f"{POOL}/{guest.name}.qcow2"} if more else set())
    assert known(guest.host) == []


def test_that_of_another_guest_stays(guest: Seeded) -> None:
    guest.create()
    other = f"{guest.name}b"
    document = guest.host.lab.virsh("dumpxml", guest.name).stdout
    uuid = guest.xml.findtext("uuid") or ""
    twin = document.replace(uuid, f"{uuid[:-1]}{'0' if uuid[-1] != '0' else '1'}")
    twin = twin.replace(f"<name>{guest.name}</name>", f"<name>{other}</name>")
    definition = guest.host.lab.etc / "twin.xml"
    definition.write_text(twin)
    guest.host.lab.virsh("define", str(definition))
    try:
        said = guest.vfioctl("guest", "delete", guest.name, "--keep-disks", "--yes")
        assert f"since {other} has it, too" in said
        assert guest.is_there
    finally:
        guest.host.lab.virsh("undefine", other)


def test_a_clone_does_not_come_with_it(guest: Seeded) -> None:
    guest.create()
    other = Seeded(guest.host)
    other.name = f"{guest.name}b"
    try:
        said = guest.vfioctl("guest", "clone", guest.name, other.name)
        assert f"the seed {guest.file} stays with {guest.name}" in said
        sources = [one.get("file") for one in other.xml.iterfind("devices/disk/source")]
        assert (sources, other.xml.find("metadata/*")) == ([f"{POOL}/{other.name}.qcow2"], None)
    finally:
        guest.host.lab.virsh("undefine", other.name, check=False)


def test_a_failed_start_takes_it_away_for_a_member_of_the_group_too(guest: Seeded) -> None:
    """Nothing is marked then: it is known by how it looks."""
    guest.host.must("chmod", "0644", "/etc/hash")
    before = guest.host.files(), known(guest.host)
    argv = ("guest", "create", *guest.plain, *guest.person, "--network", "lan", "--start")
    ended = guest.host.cli_of(MEMBER, GROUP, *argv)
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert "br-lan" in ended.stderr, ended.stdout + ended.stderr
    assert (guest.host.files(), known(guest.host)) == before


# A start after its shutdown takes it away


def end(guest: Seeded, signal: str = "TERM") -> None:
    """It shuts down, to libvirt: QEMU says so before it ends, but not where it is killed."""
    guest.host.must("sh", "-c", f"kill -{signal} $(cat /run/libvirt/qemu/{guest.name}.pid)")
    assert until(lambda: guest.host.lab.state(guest.name) == "shut off", 30.0)


def restart(guest: Seeded) -> str:
    end(guest)
    return guest.vfioctl("guest", "start", guest.name)


@pytest.mark.parametrize("started", [True, False], ids=["made and started", "started later"])
def test_the_start_after_its_shutdown_takes_it_away(guest: Seeded, started: bool) -> None:  # noqa: FBT001
    guest.create(*(("--start",) if started else ()))
    if not started:
        guest.vfioctl("guest", "start", guest.name)
    assert (guest.is_there, guest.is_a_disk) == (True, True)
    said = restart(guest)
    assert (guest.is_there, guest.is_a_disk, guest.xml.find("metadata/*")) == (False, False, None), said
    assert guest.host.lab.state(guest.name) == "running"
    assert "seed.iso" not in guest.host.lab.virsh("dumpxml", guest.name).stdout
    restart(guest)
    assert guest.host.left_open() == []


def test_one_that_was_switched_off_or_died_keeps_what_it_may_not_have_read(guest: Seeded) -> None:
    guest.create("--start")
    content = guest.content
    for ended in (
        lambda: guest.vfioctl("guest", "stop", guest.name, "--force"),
        lambda: guest.host.lab.virsh("destroy", guest.name),
        lambda: end(guest, "KILL"),
    ):  # fmt: skip
        ended()
        assert "volume.delete" not in guest.vfioctl("guest", "start", guest.name)
        assert (guest.is_there, guest.is_a_disk, guest.content) == (True, True, content)
    restart(guest)
    assert (guest.is_there, guest.is_a_disk) == (False, False)


def must_be_forgotten(guest: Seeded) -> None:
    """Since its restart libvirt knows of no guest that is off how it ended."""
    assert "unknown" in guest.host.lab.virsh("domstate", "--reason", guest.name).stdout


def test_a_power_cut_in_its_first_run_leaves_it(guest: Seeded) -> None:
    guest.create("--start")
    qemu = guest.host.must("sh", "-c", f"cat /run/libvirt/qemu/{guest.name}.pid").strip()
    guest.host.lab.sigkill()
    guest.host.must("sh", "-c", f"kill -KILL {qemu}; rm -f /run/libvirt/qemu/{guest.name}.*")
    guest.host.lab.start()
    must_be_forgotten(guest)
    guest.vfioctl("guest", "start", guest.name)
    assert (guest.is_there, guest.is_a_disk) == (True, True)


def test_what_libvirt_has_forgotten_stands_in_its_log(guest: Seeded) -> None:
    guest.create("--start")
    end(guest)
    guest.host.restart(daemon=True)
    must_be_forgotten(guest)
    log = f"/var/log/libvirt/qemu/{guest.name}.log"
    guest.host.must("mv", log, "/srv/log")
    assert "volume.delete" not in guest.vfioctl("guest", "start", guest.name, "--dry-run")
    guest.host.must("mv", "/srv/log", log)
    guest.vfioctl("guest", "start", guest.name)
    assert (guest.is_there, guest.is_a_disk) == (False, False)


def test_a_dry_run_of_the_start_after_its_shutdown_shows_all_of_it(guest: Seeded) -> None:
    guest.create("--start")
    end(guest)
    before = guest.host.files(), ET.tostring(guest.xml)
    said = guest.vfioctl("guest", "start", guest.name, "--dry-run")
    assert [said.index(kind) for kind in ("domain.define", "volume.delete", "domain.start")] == sorted(
        said.index(kind) for kind in ("domain.define", "volume.delete", "domain.start")
    )
    assert (guest.host.files(), ET.tostring(guest.xml)) == before


def test_a_start_by_somebody_else_is_none_of_the_two(guest: Seeded) -> None:
    guest.create()
    guest.host.lab.virsh("start", guest.name)
    restart(guest)
    assert (guest.is_there, guest.is_a_disk) == (True, True)


def test_one_that_was_removed_by_hand_keeps_no_guest_from_starting(guest: Seeded) -> None:
    guest.create("--start")
    guest.host.must("rm", guest.file)
    guest.host.lab.virsh("pool-refresh", "default")
    said = restart(guest)
    assert guest.file in said
    assert not guest.is_a_disk


def test_a_start_after_its_shutdown_that_fails_has_taken_it_and_nothing_else(guest: Seeded) -> None:
    guest.create("--start")
    end(guest)
    disk = f"{POOL}/{guest.name}.qcow2"
    guest.host.must("mv", disk, f"{disk}.away")
    ended = guest.host.cli("guest", "start", guest.name)
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert (guest.is_there, guest.is_a_disk, guest.host.left_open()) == (False, False, [])
    guest.host.must("mv", f"{disk}.away", disk)
    guest.vfioctl("guest", "start", guest.name)
    assert guest.host.lab.state(guest.name) == "running"


@pytest.mark.matrix
@pytest.mark.parametrize("number", range(1, 7))  # define, the volume's end, start
def test_a_start_after_its_shutdown_that_was_killed_has_it_or_has_it_not(guest: Seeded, number: int) -> None:
    guest.create("--start")
    end(guest)
    guest.host.must("sh", "-c", f"rm -f /.kit/*; echo '{number} 9' > /.kit/crash")
    assert guest.host.cli("guest", "start", guest.name).returncode != 0
    guest.host.must("sh", "-c", "rm -f /.kit/*")
    guest.host.recover()
    assert guest.is_there == guest.is_a_disk
    assert guest.host.left_open() == []
    if guest.host.lab.state(guest.name) != "running":
        guest.vfioctl("guest", "start", guest.name)
    restart(guest)
    assert (guest.is_there, guest.is_a_disk) == (False, False)


# Killed at each boundary

BOUNDARIES = range(1, 11)  # two a step: disk, seed, its content, define, start


@pytest.mark.matrix
@pytest.mark.parametrize("how", ["at once", "after a power cut", "without plugins"])
@pytest.mark.parametrize("number", BOUNDARIES)
def test_nothing_is_left_of_one_that_was_killed(guest: Seeded, number: int, how: str) -> None:
    before = guest.host.files(), known(guest.host)
    guest.host.must("sh", "-c", f"rm -f /.kit/*; echo '{number} 9' > /.kit/crash")
    ended = guest.host.cli("guest", "create", *guest.plain, *guest.person, "--start")
    guest.host.must("sh", "-c", "rm -f /.kit/*")
    assert ended.returncode != 0
    if how == "after a power cut":
        guest.host.lab.virsh("destroy", guest.name, check=False)
        guest.host.restart(daemon=True)
    said = guest.host.recover_uninstalled() if how == "without plugins" else guest.host.recover()
    assert f"guest create guest:{guest.name} was interrupted" in said
    assert (guest.host.files(), known(guest.host), guest.host.left_open()) == (*before, [])
    left = guest.host.must("sh", "-c", "grep -rlF saltsalt /var/lib/vfioctl /run/vfioctl || true")
    assert left.strip() == ""
    guest.create()
