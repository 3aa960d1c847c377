"""The simulated disks: numbers, mounts, who may open them, and what is left when their driver goes."""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from vfioctl.testing import parts, snapshot
from vfioctl.testing.host import FakeHost
from vfioctl.testing.model import FakeBlock, FakeDevice, FakeProcess, from_json, to_json

DRIVE = "0000:02:00.0"
PARTS = FakeBlock("nvme1n1p1", mounted_at="/srv"), FakeBlock("nvme1n1p2", contents="lvm")
SPEC = replace(
    parts.headless(), name="disks", modules=parts.common_modules(),
    devices=(*parts.chipset(), FakeDevice(
        DRIVE, 0x1344, 0x51C0, 0x010802, driver="nvme", drivers=("nvme",), group=30, multipath=True,
        disks=(FakeBlock("nvme1n1", PARTS),),
    )),
    volumes=(FakeBlock("dm-0", on=("nvme1n1p2",), mapped="vg-a"),),
)  # fmt: skip


@pytest.fixture
def host(start_host) -> FakeHost:
    return start_host(SPEC)


def opened(host: FakeHost, name: str, flags: int = os.O_EXCL | os.O_NONBLOCK) -> int:
    """0, or the error of an open."""
    try:
        os.close(os.open(f"{host.root}/dev/{name}", os.O_RDONLY | flags))
    except OSError as error:
        return error.errno or 0
    return 0


def test_a_machine_with_disks_goes_to_its_process_and_back():
    assert from_json(to_json(SPEC)) == SPEC


def test_each_block_device_has_a_number_of_its_own(host):
    base = Path(host.root, "sys/dev/block")
    names = {os.path.basename(os.path.realpath(entry)) for entry in base.iterdir()}
    assert names == {"nvme0n1", "nvme0n1p1", "nvme1n1", "nvme1n1p1", "nvme1n1p2", "dm-0"}
    assert "259:3 / /srv " in Path(host.root, "proc/self/mountinfo").read_text()


def test_what_is_claimed_cannot_be_opened_exclusively_and_what_is_not_can(host):
    claimed = {name: opened(host, name) for name in ("nvme1n1", "nvme1n1p1", "nvme1n1p2", "dm-0")}
    assert claimed == {"nvme1n1": errno.EBUSY, "nvme1n1p1": errno.EBUSY, "nvme1n1p2": errno.EBUSY, "dm-0": 0}
    assert opened(host, "nvme1n1", flags=0) == 0


def test_a_file_system_is_mounted_and_unmounted_while_the_machine_runs(host):
    host.kernel.unmount("nvme1n1p1")
    assert opened(host, "nvme1n1p1") == 0
    host.kernel.mount("nvme1n1p1", "/media")
    assert opened(host, "nvme1n1p1") == errno.EBUSY
    assert " /media " in Path(host.root, "proc/self/mountinfo").read_text()
    with pytest.raises(LookupError, match="no block device sdz"):
        host.kernel.mount("sdz", "/media")


def test_a_disk_has_its_size_and_carries_what_the_spec_says(host):
    path = Path(host.root, "dev/nvme1n1p2")
    assert path.stat().st_size == 512 * int(Path(host.root, "sys/class/block/nvme1n1p2/size").read_text())
    with path.open("rb") as file:
        assert b"LABELONE" in file.read(2048)
        file.seek(-10, os.SEEK_END)
        assert file.read() == bytes(10)


def test_a_process_has_the_node_open_and_not_the_file_that_stands_for_it(host):
    pid = host.kernel.add_process(FakeProcess("qemu-system-x86", opens=("/dev/nvme1n1",)))
    status = os.stat(f"{host.root}/proc/{pid}/fd/3")
    assert stat.S_ISBLK(status.st_mode)
    assert (os.major(status.st_rdev), os.minor(status.st_rdev)) == (259, 2)


def test_the_disks_go_with_the_driver_and_come_back_as_they_were(host):
    before = snapshot.take(host.root, files=())
    driver = Path(host.root, "sys/bus/pci/drivers/nvme")
    (driver / "unbind").write_text(DRIVE)
    without = snapshot.take(host.root, files=())
    assert not [name for name in without if "nvme1" in name and "virtual/block" not in name]
    (driver / "bind").write_text(DRIVE)
    assert snapshot.difference(before, snapshot.take(host.root, files=())) == ()


def test_a_disk_can_refuse_to_be_opened_so_many_times(host):
    host.kernel.fail_open("/dev/nvme1n1", errno.EIO, count=1)
    assert (opened(host, "nvme1n1", 0), opened(host, "nvme1n1", 0)) == (errno.EIO, 0)
