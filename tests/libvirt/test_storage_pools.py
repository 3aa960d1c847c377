"""`vfioctl pool` as a user runs it, on a real libvirtd: what is made, refused, left, and ended after a crash."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import snapshot_lab
from somebody import NOBODY
from volume_lab import small_pool

pytest.importorskip("libvirt")
pytest.importorskip("vfioctl_storage")

PLACE = "/var/lib/libvirt/images"  # that of the private libvirtd
CREATE = 6  # boundaries: two a step
DELETE = 4
GROUP = ("<pool type=\"logical\"><name>vg0</name><source><name>vg0</name><format type=\"lvm2\"/></source>"
         "<target><path>/dev/vg0</path></target></pool>")  # fmt: skip
MEMBERS = 1  # the group daemon, whose members may ask the private libvirtd


@pytest.fixture(scope="module")
def host(module_lab: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    module_lab.let_members_ask()
    with snapshot_lab.silent(module_lab, tmp_path_factory.mktemp("pools")) as made:
        yield made


@pytest.fixture
def on(host: Any) -> Iterator[Pools]:
    made = Pools(host)
    yield made
    made.remove()


class Pools:
    """The pools of the host, all of which go in the end."""

    def __init__(self, host: Any) -> None:
        self.host = host

    def cli(self, *argv: str, status: int = 0) -> str:
        """`vfioctl pool ARGV`, which ends with `status`; what it says."""
        ended = self.host.cli("pool", *argv)
        assert ended.returncode == status, ended.stdout + ended.stderr
        return str(ended.stdout + ended.stderr)

    def data(self, *argv: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.cli(*argv, "--format", "json"))["data"]
        return found

    def virsh(self, *argv: str) -> str:
        return str(self.host.lab.virsh(*argv).stdout)

    def names(self) -> list[str]:
        return self.virsh("pool-list", "--all", "--name").split()

    def there(self, path: str) -> bool:
        return bool(self.host.run("test", "-e", path).returncode == 0)

    def killed(self, number: int, *argv: str) -> None:
        self.host.must("sh", "-c", f"rm -f /.kit/*; echo '{number} 9' > /.kit/crash")
        self.host.cli("pool", *argv)
        self.host.must("sh", "-c", "rm -f /.kit/*")

    def state(self) -> tuple[list[str], str, str]:
        """All that libvirt knows of pools, and every file and directory."""
        listed = self.virsh("pool-list", "--all", "--details")
        return self.names(), listed, self.host.must("find", PLACE)

    def remove(self) -> None:
        for name in self.names():
            self.host.lab.virsh("pool-destroy", name, check=False)
            self.virsh("pool-undefine", name)
        self.host.must("sh", "-c", f"rm -rf {PLACE}/*")


def test_a_pool_is_made_whole_by_one_command_and_deleted_without_a_trace(on: Pools) -> None:
    before = on.state()
    assert "The pool fast is made and active." in on.cli("create", "fast", "--path", f"{PLACE}/fast")
    row, = on.data("list")["pools"]
    assert {key: row[key] for key in ("name", "kind", "state", "autostart", "path", "volumes", "node")} == {
        "name": "fast", "kind": "dir", "state": "active", "autostart": True, "path": f"{PLACE}/fast", "volumes": 0,
        "node": "local",
    }  # fmt: skip
    assert on.data("show", "fast")["pool"]["guests"] == []
    on.cli("delete", "fast", "--yes")
    assert on.state() == before


def test_a_dry_run_changes_nothing_and_names_each_step(on: Pools) -> None:
    before = on.state()
    said = on.data("create", "fast", "--path", f"{PLACE}/fast", "--dry-run")
    assert [step["kind"] for step in said["steps"]] == ["pool.define", "pool.start", "pool.autostart"]
    assert on.state() == before


def test_it_is_stopped_started_and_starts_with_its_host_no_more(on: Pools) -> None:
    on.cli("create", "fast", "--path", f"{PLACE}/fast")
    on.cli("stop", "fast")
    assert on.data("show", "fast")["pool"]["state"] == "inactive"
    assert "is not active" in on.cli("stop", "fast")
    on.cli("start", "fast")
    assert "is active already" in on.cli("start", "fast")
    on.cli("autostart", "fast", "--off")
    row = on.data("show", "fast")["pool"]
    assert (row["state"], row["autostart"]) == ("active", False)


def test_a_file_that_somebody_put_there_is_a_volume_after_a_refresh(on: Pools) -> None:
    on.cli("create", "fast", "--path", f"{PLACE}/fast")
    on.host.must("truncate", "-s", "1M", f"{PLACE}/fast/disk.img")
    assert on.data("show", "fast")["pool"]["volumes"] == 0
    assert on.data("refresh", "fast")["pool"]["volumes"] == 1


def test_a_directory_with_files_of_others_becomes_none_unless_that_is_said(on: Pools) -> None:
    on.host.must("mkdir", "-p", f"{PLACE}/home/Documents")
    on.host.must("sh", "-c", f"echo x > {PLACE}/home/.profile; echo x > {PLACE}/home/letter.pdf")
    before = on.state()
    said = on.cli("create", "mine", "--path", f"{PLACE}/home", status=3)
    assert ".profile, letter.pdf" in said
    assert "--any-files" in said
    assert on.state() == before
    on.cli("create", "mine", "--path", f"{PLACE}/home", "--any-files")


def test_a_directory_of_images_and_of_what_lies_beside_them_becomes_one(on: Pools) -> None:
    on.host.must("mkdir", "-p", f"{PLACE}/fast/old")
    on.host.must("sh", "-c", f"cd {PLACE}/fast; truncate -s 4M disk; echo x > debian.iso.SHA256; echo x > web.xml")
    on.host.must("qemu-img", "create", "-q", "-f", "qcow2", f"{PLACE}/fast/web", "8M")
    on.cli("create", "fast", "--path", f"{PLACE}/fast")


def test_a_link_leads_to_no_directory_of_the_system(on: Pools) -> None:
    on.host.must("ln", "-s", "/etc", f"{PLACE}/fast")
    before = on.state()
    assert "/etc" in on.cli("create", "fast", "--path", f"{PLACE}/fast", status=3)
    assert on.state() == before


@pytest.mark.parametrize(("name", "path", "code"), [
    ("7", "fast", "pool.bad_name"), ("-x", "fast", "pool.bad_name"), ("x y", "fast", "pool.bad_name"),
    ("..", "fast", "pool.bad_name"), ("fast", "a/b/c", "pool.bad_path"), ("fast", "../../../proc/x", "pool.bad_path"),
    ("other", "there", "pool.path_taken"), ("there", "fast", "pool.exists"), ("fast", "a-file", "pool.bad_path"),
])  # fmt: skip
def test_what_cannot_be_is_refused_before_anything_is_touched(on: Pools, name: str, path: str, code: str) -> None:
    on.cli("create", "there", "--path", f"{PLACE}/there")
    on.host.must("touch", f"{PLACE}/a-file")
    before = on.state()
    said = on.cli("create", "--path", f"{PLACE}/{path}", "--", name, status=3)
    assert code in on.cli("create", "--path", f"{PLACE}/{path}", "--format", "json", "--", name, status=3)
    assert "Nothing was changed." in said
    assert on.state() == before


def test_a_pool_with_volumes_is_not_deleted_unless_its_files_are_to_stay(on: Pools) -> None:
    on.cli("create", "fast", "--path", f"{PLACE}/fast")
    on.host.must("truncate", "-s", "1M", f"{PLACE}/fast/disk.img")
    assert "has volumes: disk.img" in on.cli("delete", "fast", "--yes", status=3)
    assert on.names() == ["fast"]
    said = on.cli("delete", "fast", "--keep-files", "--yes")
    assert f"The directory {PLACE}/fast stays" in said
    assert on.there(f"{PLACE}/fast/disk.img")
    assert on.names() == []


def test_a_pool_that_is_not_active_is_not_taken_for_an_empty_one(on: Pools) -> None:
    on.cli("create", "fast", "--path", f"{PLACE}/fast")
    on.host.must("truncate", "-s", "1M", f"{PLACE}/fast/disk.img")
    on.cli("stop", "fast")
    assert "is not active" in on.cli("delete", "fast", "--yes", status=3)
    assert on.names() == ["fast"]


def test_a_pool_that_a_guest_has_a_disk_in_is_not_deleted(on: Pools) -> None:
    on.cli("create", "fast", "--path", f"{PLACE}/fast")
    guest = snapshot_lab.Guest(on.host)
    try:
        guest.define({"vda": (f"{PLACE}/fast/gone.qcow2", "qcow2")})
        said = on.cli("delete", "fast", "--keep-files", "--yes", status=3)
        assert f"guests have disks in it: {guest.name}" in said
        assert on.data("show", "fast")["pool"]["guests"] == [guest.name]
    finally:
        on.virsh("undefine", guest.name)


def test_nobody_is_asked_when_nobody_can_answer(on: Pools) -> None:
    on.cli("create", "fast", "--path", f"{PLACE}/fast")
    assert "pool.unconfirmed" in on.cli("delete", "fast", "--format", "json", status=3)
    assert on.names() == ["fast"]


def test_an_unknown_pool_is_answered_with_the_nearest(on: Pools) -> None:
    on.cli("create", "fast", "--path", f"{PLACE}/fast")
    assert 'did you mean "fast"?' in on.cli("show", "fats", status=3)


@pytest.mark.parametrize("restarted", [False, True], ids=["at once", "after a power cut"])
@pytest.mark.parametrize("number", range(1, CREATE + 1))
def test_a_creation_that_is_killed_leaves_nothing_of_ours(on: Pools, number: int, *, restarted: bool) -> None:
    on.cli("create", "there", "--path", f"{PLACE}/there")
    before = on.state()
    on.killed(number, "create", "fast", "--path", f"{PLACE}/fast")
    if restarted:
        on.host.restart(daemon=False)
    on.host.recover_uninstalled()
    assert on.state() == before
    assert on.host.left_open() == []
    on.cli("create", "fast", "--path", f"{PLACE}/fast")


@pytest.mark.parametrize("number", range(1, DELETE + 1))
def test_a_deletion_that_is_killed_brings_the_pool_back(on: Pools, number: int) -> None:
    on.cli("create", "fast", "--path", f"{PLACE}/fast")
    before = on.state()
    on.killed(number, "delete", "fast", "--yes")
    on.host.recover_uninstalled()
    assert on.state()[0] == before[0]
    assert on.data("show", "fast")["pool"]["state"] == "active"
    assert on.data("show", "fast")["pool"]["autostart"]
    assert on.there(f"{PLACE}/fast")
    assert on.host.left_open() == []


def test_a_pool_of_that_name_that_appears_in_between_stays(on: Pools) -> None:
    on.killed(1, "create", "fast", "--path", f"{PLACE}/fast")
    on.virsh("pool-define-as", "fast", "dir", "--target", f"{PLACE}/theirs")
    on.virsh("pool-build", "fast")
    on.host.must("mkdir", f"{PLACE}/fast")
    on.host.recover()
    assert on.names() == ["fast"]
    assert on.there(f"{PLACE}/theirs")
    assert on.there(f"{PLACE}/fast")


def test_a_creation_that_fails_is_undone_and_a_second_try_succeeds(on: Pools) -> None:
    """The device does not hold a file system: it is defined and built, and cannot be started."""
    before = on.state()
    argv = ("create", "big", "--path", f"{PLACE}/big", "--device", "/dev/zero")
    on.cli(*argv, status=1)
    assert on.state() == before
    on.cli("create", "big", "--path", f"{PLACE}/big")


@pytest.fixture
def drive(tmp_path: Path) -> Iterator[str]:
    """A loop device with a file system."""
    image = tmp_path / "drive.ext4"
    subprocess.run(["truncate", "-s", "16M", str(image)], check=True)
    subprocess.run(["mkfs.ext4", "-q", str(image)], check=True)
    loop = subprocess.run(["losetup", "--show", "-f", str(image)], check=True, capture_output=True, text=True)
    try:
        yield loop.stdout.strip()
    finally:
        subprocess.run(["losetup", "-d", loop.stdout.strip()], check=True)


def test_a_file_system_on_a_device_is_mounted_and_unmounted(on: Pools, drive: str) -> None:
    try:
        on.cli("create", "big", "--path", f"{PLACE}/big", "--device", drive)
        row = on.data("show", "big")["pool"]
        assert (row["kind"], row["source"], row["state"]) == ("fs", drive, "active")
        assert row["capacity"] < 16 << 20
        on.cli("delete", "big", "--keep-files", "--yes")
        assert not on.there(f"{PLACE}/big")
    finally:
        on.host.lab.virsh("pool-destroy", "big", check=False)


def test_a_drive_that_a_guest_has_is_mounted_for_no_pool(on: Pools, drive: str) -> None:
    """libvirt mounts it, and QEMU opens it: neither is kept from it by the other."""
    argv = ("create", "big", "--path", f"{PLACE}/big", "--device", drive)
    on.host.lab.define("nas", devices=f"<disk type='block' device='disk'><source dev='{drive}'/>"
                       "<target dev='vda' bus='virtio'/></disk>")  # fmt: skip
    before = on.state()
    said = on.cli(*argv, status=3)
    assert "[disk.claimed]" in said
    assert "as a disk: nas." in said
    assert on.state() == before
    on.virsh("undefine", "nas")
    on.cli(*argv)
    on.cli("delete", "big", "--keep-files", "--yes")


def test_a_drive_that_this_host_has_mounted_is_mounted_for_no_pool_but_at_its_place(on: Pools, drive: str) -> None:
    on.host.must("mkdir", "-p", f"{PLACE}/here", f"{PLACE}/there")
    on.host.must("mount", drive, f"{PLACE}/here")
    try:
        said = on.cli("create", "big", "--path", f"{PLACE}/there", "--device", drive, status=3)
        assert f"is mounted on {PLACE}/here" in said
        assert on.names() == []
        on.cli("create", "big", "--path", f"{PLACE}/here", "--device", drive, "--any-files")
    finally:
        on.host.lab.virsh("pool-destroy", "big", check=False)
        on.host.must("umount", "-A", drive)


@pytest.mark.parametrize("argv", [
    ("--type", "logical"), ("--source-name", "vg0", "--source-device", "/dev/loop7"),
    ("--path", f"{PLACE}/big", "--source-host", "127.0.0.1", "--source-path", "/export/vm"),
], ids=["logical", "logical with a device", "netfs"])  # fmt: skip
def test_a_source_that_is_not_there_is_known_to_libvirt_and_undone_whole(on: Pools, argv: tuple[str, ...]) -> None:
    """libvirt takes the definition, and fails as it starts the pool: there is no such group, and no such server."""
    before = on.state()
    with on.host.standing_still(3, "pool", "create", "big", *argv):
        assert on.names() == ["big"]
    assert on.state() == before
    assert on.host.left_open() == []


def test_a_type_that_libvirt_has_no_part_for_is_refused_with_the_package(on: Pools, tmp_path: Path) -> None:
    """Debian 13 has that of volume groups in a package of its own."""
    (found,) = Path("/usr/lib").glob("*/libvirt/storage-backend/libvirt_storage_backend_fs.so")
    (tmp_path / found.name).symlink_to(found)
    on.host.lab.stop()
    on.host.lab.start(environment={"LIBVIRT_STORAGE_BACKEND_DIR": str(tmp_path)})
    try:
        said = on.cli("create", "big", "--type", "logical", status=3)
        assert "has nothing for pools of the type logical. [pool.no_backend]" in said
        assert "libvirt-daemon-driver-storage-logical" in said
        on.cli("create", "plain", "--path", f"{PLACE}/plain")
    finally:
        on.host.lab.restart()
    assert on.names() == ["plain"]


def test_a_pool_of_a_volume_group_is_forgotten_and_nothing_of_it_is_removed(on: Pools) -> None:
    """No start, no LVM: what libvirt is asked for is seen by its definition alone."""
    on.host.must("sh", "-c", f"echo '{GROUP}' > /var/group.xml")
    on.virsh("pool-define", f"{on.host.tree}/var/group.xml")
    on.cli("delete", "vg0", "--yes", status=3)
    assert "no volume of it" in on.cli("delete", "vg0", "--keep-files", status=3)  # it is asked first
    on.cli("delete", "vg0", "--keep-files", "--yes")
    assert on.names() == []


@pytest.fixture
def small(on: Pools, tmp_path: Path) -> Iterator[str]:
    with small_pool(on.host, tmp_path) as path:
        yield path


@pytest.mark.parametrize("verb", ["create", "clone", "upload", "template"])
def test_a_full_disk_leaves_nothing_half(on: Pools, small: str, verb: str) -> None:
    """On the file system of the pool there is room for a part of it alone."""
    on.cli("create", "wide", "--path", f"{PLACE}/wide")
    source = f"{PLACE}/wide/source.img"
    on.host.must("dd", "if=/dev/urandom", f"of={source}", "bs=1M", "count=24", "status=none")
    on.cli("refresh", "wide")
    argv = {
        "create": ("volume", "create", "small", "a", "--size", "24M", "--image-format", "raw", "--preallocation",
                   "full"),
        "clone": ("volume", "clone", "wide", "source.img", "a", "--to", "small"),
        "upload": ("volume", "upload", "small", "a", source),
        "template": ("template", "add", "a", "--pool", "small", "--file", source),
    }[verb]  # fmt: skip
    before = on.host.must("find", PLACE, "-printf", "%p %s\\n")
    failed = on.host.cli(*argv)
    assert failed.returncode in (1, 3), failed.stdout + failed.stderr
    assert ("No space left" in failed.stderr) or ("disk.no_room" in failed.stderr), failed.stderr
    assert on.host.must("find", PLACE, "-printf", "%p %s\\n") == before
    assert on.host.left_open() == []
    again = on.host.cli("volume", "create", "small", "a", "--size", "1M")
    assert again.returncode == 0, again.stderr


def test_a_guest_on_a_full_disk_leaves_nothing_half(on: Pools, small: str) -> None:
    pytest.importorskip("vfioctl_guest")
    argv = ("guest", "create", "web", "--memory", "64M", "--disk", "8M", "--disk", "8M", "--pool", "small")
    on.host.run("dd", "if=/dev/zero", f"of={small}/ballast", "bs=64k")
    before = on.host.must("find", PLACE, "-printf", "%p %s\\n")
    failed = on.host.cli(*argv)
    assert failed.returncode == 1, failed.stdout + failed.stderr
    assert "No space left" in failed.stderr
    assert on.host.must("find", PLACE, "-printf", "%p %s\\n") == before
    assert (on.virsh("list", "--all", "--name").split(), on.host.left_open()) == ([], [])
    on.host.must("rm", f"{small}/ballast")
    again = on.host.cli(*argv)
    on.host.lab.virsh("undefine", "web", check=False)
    assert again.returncode == 0, again.stderr


@pytest.mark.parametrize("number", [1, 2, 4])
def test_a_killed_daemon_keeps_nobody_from_ending_it(on: Pools, number: int) -> None:
    on.killed(number, "create", "fast", "--path", f"{PLACE}/fast")
    on.host.lab.sigkill()
    on.host.lab.start()
    on.host.recover()
    assert on.names() == []
    assert not on.there(f"{PLACE}/fast")


def test_a_node_that_does_not_answer_costs_its_rows_alone(on: Pools) -> None:
    on.cli("create", "fast", "--path", f"{PLACE}/fast")
    on.host.must("sh", "-c", "mkdir -p /etc/vfioctl/nodes && echo 'uri = \"qemu+tcp://127.0.0.1:1/system\"' > "
                 "/etc/vfioctl/nodes/dead.toml")  # fmt: skip
    try:
        ended = on.host.cli("pool", "list", "--all-nodes", "--format", "json")
        assert ended.returncode == 1
        data = json.loads(ended.stdout)["data"]
        assert [(row["node"], row["name"]) for row in data["pools"]] == [("local", "fast")]
        assert {one["node"]: one["answers"] for one in data["nodes"]} == {"local": True, "dead": False}
    finally:
        on.host.must("rm", "/etc/vfioctl/nodes/dead.toml")


def test_a_member_of_the_group_libvirt_makes_and_deletes_a_pool(on: Pools) -> None:
    """Nothing but libvirt is needed. The directory bears no mark then, so it stays."""
    done = on.host.cli_of(NOBODY, MEMBERS, "pool", "create", "fast", "--path", f"{PLACE}/fast")
    assert done.returncode == 0, done.stdout + done.stderr
    assert on.names() == ["fast"]
    gone = on.host.cli_of(NOBODY, MEMBERS, "pool", "delete", "fast", "--yes")
    assert gone.returncode == 0, gone.stdout + gone.stderr
    assert f"The directory {PLACE}/fast stays" in gone.stdout + gone.stderr
    assert on.names() == []
