"""A start that would take a disk or the network from the host: refused by the hook with nothing touched."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hand_offs import VFIO_STAYS

from vfioctl.testing import parts, snapshot
from vfioctl.testing.domains import UUID, domain
from vfioctl.testing.host import FakeHost
from vfioctl.testing.libvirt import FakeLibvirt, HookCall
from vfioctl.testing.model import FakeBlock, FakeDevice, FakeProcess
from vfioctl.wait import until

SATA, SECOND, NIC, NVME = "0000:02:00.0", "0000:02:00.1", "0000:00:1f.6", "0000:03:00.0"
AHCI = parts.module("ahci", "storage")


def controller(address: str, group: int, *disks: FakeBlock, driver: str = "ahci") -> FakeDevice:
    return FakeDevice(address, 0x8086, 0xA352, 0x010601, driver=driver, drivers=(driver,), group=group, disks=disks)


@pytest.fixture
def lv(tmp_path: Path) -> Iterator[FakeLibvirt]:
    """A storage card of two functions, each alone in its group, and a drive with a volume group."""
    base = parts.headless()
    spec = replace(
        base, name="disks", modules=(AHCI, *parts.common_modules()),
        devices=(
            *parts.chipset(), controller(SATA, 30, FakeBlock("sda", (FakeBlock("sda1"),))),
            controller(SECOND, 31, FakeBlock("sdb", (FakeBlock("sdb1", swap=True),))),
            controller(NVME, 32, FakeBlock("nvme1n1", (FakeBlock("nvme1n1p1", contents="lvm"),)), driver="nvme"),
        ),
    )  # fmt: skip
    with FakeHost(spec, tmp_path) as host:
        daemon = FakeLibvirt(host)
        daemon.install()
        yield daemon


def start(lv: FakeLibvirt, *hostdevs: str, settings: str = "") -> HookCall:
    lv.manage("nas", settings)
    return lv.start("nas", UUID, domain("nas", hostdevs=hostdevs).encode(), addresses=hostdevs)


def refused(lv: FakeLibvirt, *hostdevs: str, settings: str = "", devices: str = "") -> str:
    """What the hook said when it refused; the machine is as before."""
    lv.manage("nas", settings)
    before = snapshot.take(lv.host.root)
    call = lv.call("nas", "prepare", "begin", domain("nas", hostdevs=hostdevs, devices=devices).encode())
    ours = ("var/lib/vfioctl/*", "var/log/vfioctl*", "run/vfioctl*", "var/lib/vfioctl")
    assert call.status != 0
    assert snapshot.difference(before, snapshot.take(lv.host.root), allowed=ours) == ()
    return call.stderr


def differences(lv: FakeLibvirt, before: snapshot.Snapshot) -> tuple[str, ...]:
    return snapshot.difference(before, snapshot.take(lv.host.root, files=()), allowed=VFIO_STAYS)


def test_a_function_that_is_taken_along_is_looked_at_as_well(lv: FakeLibvirt) -> None:
    assert "sdb1 is swap space" in refused(lv, SATA, settings=f'include = ["{SECOND}"]')


def test_a_device_of_the_guest_file_is_looked_at_as_well(lv: FakeLibvirt) -> None:
    assert "nvme0n1p1 is mounted on /" in refused(lv, settings='devices = ["0000:00:1d.0"]')


def test_the_drive_that_a_disk_of_the_guest_is_on_is_looked_at_as_well(lv: FakeLibvirt) -> None:
    drive = "<backingStore type='nvme'><source type='pci' namespace='1'><address slot='0x1d'/></source></backingStore>"
    disk = f"<disk type='file'><source file='/top.qcow2'/>{drive}<target dev='vda'/></disk>"
    assert "nvme0n1p1 is mounted on /" in refused(lv, devices=disk)


def test_no_setting_gives_the_disk_of_the_root_file_system(lv: FakeLibvirt) -> None:
    address = "0000:00:1d.0"
    assert "mounted on /" in refused(lv, address, settings=f'allow_in_use = ["{address}"]')


def test_a_drive_that_never_answers_is_named_though_it_takes_longer_than_a_plugin_may(lv: FakeLibvirt) -> None:
    lv.host.kernel.hang_open("/dev/sda")
    lv.manage("nas")
    said = lv.call("nas", "prepare", "begin", domain("nas", hostdevs=(SATA,)).encode()).stderr
    lv.host.kernel.release()
    assert "sda is in unknown use: it does not answer" in said


def test_the_network_of_the_host_is_refused(lv: FakeLibvirt) -> None:
    assert "the only network card of this host" in refused(lv, NIC)


def test_a_drive_with_a_volume_group_is_given_where_the_guest_file_allows_it_and_comes_back(lv: FakeLibvirt) -> None:
    assert "a member of an LVM volume group" in refused(lv, NVME)
    before = snapshot.take(lv.host.root, files=())
    call = start(lv, NVME, settings=f'allow_in_use = ["{NVME}"]')
    assert (call.status, call.stderr.count("volume group")) == (0, 1)
    assert lv.stop("nas", domain("nas", hostdevs=(NVME,)).encode()).status == 0
    assert until(lambda: not differences(lv, before), 20), differences(lv, before)


def test_the_guest_that_has_the_raw_disk_must_end_first(lv: FakeLibvirt) -> None:
    argv = ("qemu-system-x86_64", "-name", "guest=a,,b,debug-threads=on")
    pid = lv.host.kernel.add_process(FakeProcess("qemu-system-x86", opens=("/dev/nvme1n1",), cmdline=argv))
    assert "open in QEMU of the guest a,b" in refused(lv, NVME)
    lv.host.kernel.end_process(pid)
    assert "QEMU" not in refused(lv, NVME)


def test_a_disk_that_is_mounted_after_the_plan_was_made_is_not_taken(lv: FakeLibvirt) -> None:
    """The write before it waits for as long as the desktop needs to mount the drive."""
    lv.manage("nas")
    before = snapshot.take(lv.host.root, files=())
    aim = f"/sys/bus/pci/devices/{SATA}/driver_override"
    lv.host.kernel.hang_write(aim)
    with lv.popen("nas", "prepare", "begin") as started:
        assert started.stdin
        assert started.stderr
        started.stdin.write(domain("nas", hostdevs=(SATA,)).encode())
        started.stdin.close()
        assert until(lambda: bool(lv.host.kernel.blocked()), 20)
        lv.host.kernel.mount("sda1", "/media/alice")
        lv.host.kernel.release()
        said = started.stderr.read().decode()
    assert started.returncode != 0
    assert "sda1 is mounted on /media/alice" in said
    assert differences(lv, before) == ()
