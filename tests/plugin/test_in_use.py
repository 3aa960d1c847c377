"""What keeps a function on the host: its disks and its network."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from vfioctl.host import claims, exclusive
from vfioctl.host.host import Host
from vfioctl.plugin import in_use
from vfioctl.plugin.types import Finding, Severity
from vfioctl.testing import parts
from vfioctl.testing.host import FakeHost
from vfioctl.testing.model import FakeBlock, FakeDevice, FakeLink, FakeModule, FakeProcess, MachineSpec

DRIVE = "0000:02:00.0"
AHCI = FakeModule("ahci", builtin=True, drivers=parts.driver("ahci", "storage"))
UUID = "6f1c9d3e-7c2f-4a51-9c55-4f3c3c1f9a10"
Boot = Callable[..., FakeHost]


def drive(*parts_of_it: FakeBlock, multipath: bool = False, **whole: object) -> FakeDevice:
    disk = FakeBlock("nvme1n1", parts_of_it, **whole)
    return FakeDevice(DRIVE, 0x1344, 0x51C0, 0x010802, driver="nvme", drivers=("nvme",), group=30, disks=(disk,),
                      multipath=multipath)  # fmt: skip


def part(number: int = 1, **what: object) -> FakeBlock:
    return FakeBlock(f"nvme1n1p{number}", **what)


@pytest.fixture
def boot(tmp_path: Path) -> Iterator[Boot]:
    """A machine whose own disk is mounted, with a second drive."""
    running: list[FakeHost] = []

    def start(second: FakeDevice, *processes: FakeProcess, **changes: object) -> FakeHost:
        base = parts.headless()
        spec: MachineSpec = replace(
            base, name="disks", devices=(*parts.chipset(), second), modules=(*parts.common_modules(), AHCI),
            processes=(*base.processes, *processes), **changes,
        )  # fmt: skip
        fake = FakeHost(spec, tmp_path)
        fake.start()
        running.append(fake)
        return fake

    yield start
    for fake in running:
        fake.stop()


def found(fake: FakeHost, *allowed: str) -> tuple[Finding, ...]:
    return in_use.findings(Host(fake.paths, fake.programs), DRIVE, allowed)


def told(fake: FakeHost, *allowed: str) -> list[tuple[str, Severity]]:
    return [(finding.code, finding.severity) for finding in found(fake, *allowed)]


BLOCK, WARN = Severity.BLOCK, Severity.WARN


def test_a_drive_that_nothing_uses_may_go(boot: Boot) -> None:
    assert found(boot(drive(part(1), part(2)))) == ()


def test_without_a_disk_or_an_interface_nothing_of_it_is_imported(tmp_path: Path) -> None:
    place = tmp_path / "sys/bus/pci/devices" / DRIVE
    place.mkdir(parents=True)
    (place / "class").write_text("0x0c0330\n")
    code = (
        "import sys\nfrom vfioctl.paths import Paths\nfrom vfioctl.proc import Programs\n"
        "from vfioctl.host.host import Host\nfrom vfioctl.plugin import in_use\n"
        f"assert in_use.findings(Host(Paths({str(tmp_path)!r}), Programs('')), {DRIVE!r}) == ()\n"
        "print(*sys.modules)"
    )
    ended = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    heavy = {f"vfioctl.host.{name}" for name in ("claims", "exclusive", "mounts", "network", "ssh")}
    assert "vfioctl.host.blocks" in ended.stdout.split()
    assert heavy.isdisjoint(ended.stdout.split())


def optical(**what: object) -> FakeDevice:
    """A SATA controller with a drive for discs: without one the kernel calls it 2097151 sectors long."""
    drive = FakeBlock("sr0", size=2097151 * 512, **what)
    return FakeDevice(DRIVE, 0x8086, 0xA102, 0x010601, driver="ahci", drivers=("ahci",), group=30, disks=(drive,))


def test_the_controller_of_a_drive_without_a_disc_may_go(boot: Boot) -> None:
    fake = boot(optical(empty=True))
    with open(fake.paths.at("dev/sr0"), "rb") as node, pytest.raises(OSError, match="Input/output error"):
        node.read(1)
    assert found(fake) == ()


def test_the_controller_of_a_drive_with_a_mounted_disc_may_not_go(boot: Boot) -> None:
    assert told(boot(optical(mounted_at="/media/cdrom"))) == [("device.mounted", BLOCK)]


def test_the_other_drive_is_the_one_that_is_mounted(boot: Boot) -> None:
    fake = boot(drive(part()))
    [finding] = in_use.findings(Host(fake.paths, fake.programs), "0000:00:1d.0")
    assert "nvme0n1p1 is mounted on /." in finding.message


@pytest.mark.parametrize(
    ("block", "words"),
    [
        (part(mounted_at="/srv"), "nvme1n1p1 is mounted on /srv"),
        (part(2, swap=True), "nvme1n1p2 is swap space"),
    ],
)
def test_a_mounted_file_system_and_swap_are_never_taken(boot: Boot, block: FakeBlock, words: str) -> None:
    fake = boot(drive(block))
    assert told(fake) == told(fake, DRIVE) == [("device.mounted", BLOCK)]
    assert words in found(fake)[0].message


@pytest.mark.parametrize(
    ("volume", "words", "helps"),
    [
        (FakeBlock("dm-0", on=("nvme1n1p1",), mapped="vg-data", uuid="LVM-abc"), "part of dm-0 (vg-data)", "lvchange"),
        (FakeBlock("dm-0", on=("nvme1n1p1",), mapped="secret", uuid="CRYPT-LUKS2-x"), "dm-0 (secret)", "dmsetup"),
        (FakeBlock("md127", on=("nvme1n1p1",)), "part of md127", "mdadm --stop /dev/md127"),
        (FakeBlock("bcache0", on=("nvme1n1p1",)), "part of bcache0", "Stop bcache0"),
        (FakeBlock("loop0", backing="/dev/nvme1n1p1"), "what /dev/loop0 shows", "losetup --detach /dev/loop0"),
    ],
)
def test_what_is_built_on_a_partition_holds_the_drive(boot: Boot, volume: FakeBlock, words: str, helps: str) -> None:
    fake = boot(drive(part()), volumes=(volume,))
    assert told(fake) == told(fake, DRIVE) == [("device.disk_in_use", BLOCK)]
    assert words in found(fake)[0].message
    assert helps in found(fake)[0].hint


def test_a_named_volume_that_is_mounted_is_told_by_both_its_names(boot: Boot) -> None:
    crypt = FakeBlock("dm-0", on=("nvme1n1p1",), mapped="luks", uuid="CRYPT-LUKS2-x")
    home = FakeBlock("dm-1", on=("dm-0",), mapped="vg-home", uuid="LVM-abc", mounted_at="/home")
    fake = boot(drive(part()), volumes=(crypt, home))
    assert told(fake) == [("device.mounted", BLOCK), ("device.disk_in_use", BLOCK)]
    assert "dm-1 (vg-home) is mounted on /home" in found(fake)[0].message
    assert "nvme1n1p1 is part of dm-0 (luks)" in found(fake)[1].message


def test_the_second_device_of_a_btrfs_that_is_mounted_by_the_first_is_not_taken(boot: Boot) -> None:
    other = FakeDevice("0000:03:00.0", 0x1344, 0x51C0, 0x010802, driver="nvme", drivers=("nvme",), group=31,
                       disks=(FakeBlock("nvme2n1", btrfs=UUID, mounted_at="/home"),))  # fmt: skip
    second = drive(part(btrfs=UUID))
    fake = boot(second)
    fake.reboot(replace(fake.spec, devices=(*fake.spec.devices, other)))
    assert told(fake) == [("device.disk_in_use", BLOCK)]
    assert f"nvme1n1p1 is a device of the mounted btrfs {UUID}" in found(fake)[0].message


def test_a_drive_that_the_kernel_holds_without_saying_why_is_not_taken(boot: Boot) -> None:
    fake = boot(drive(part(held=True)))
    assert told(fake, DRIVE) == [("device.disk_in_use", BLOCK)]
    assert "nvme1n1p1 is in use" in found(fake)[0].message
    assert "nvme1n1 is" not in found(fake)[0].message


def test_a_pool_in_use_is_named_by_its_label(boot: Boot) -> None:
    fake = boot(drive(part(held=True, contents="zfs:tank")), mounts=(("tank/home", "/home", "zfs"),))
    assert "nvme1n1p1 is a member of the ZFS pool tank and in use" in found(fake)[0].message
    assert told(fake) == [("device.disk_in_use", BLOCK)]


def test_a_pool_whose_label_is_on_another_drive_does_not_concern_this_one(boot: Boot) -> None:
    fake = boot(drive(part()), mounts=(("tank/home", "/home", "zfs"),),
                volumes=(FakeBlock("sda1", held=True, contents="zfs:tank"),))  # fmt: skip
    assert found(fake) == ()


def test_a_pool_that_no_drive_shows_may_be_on_this_one(boot: Boot) -> None:
    fake = boot(drive(part()), mounts=(("tank/home", "/home", "zfs"),))
    assert told(fake) == [("device.disk_unknown", BLOCK)]
    assert told(fake, DRIVE) == [("device.disk_unknown", WARN)]


@pytest.mark.parametrize(
    ("contents", "words"),
    [("lvm", "an LVM volume group"), ("md-1.2", "the md array host:0"), ("md-0.90", "an md array"),
     ("zfs:tank", "the ZFS pool tank")],
)  # fmt: skip
def test_a_member_that_is_not_active_is_refused_until_the_guest_file_allows_it(
    boot: Boot, contents: str, words: str
) -> None:
    fake = boot(drive(part(contents=contents)))
    assert told(fake) == [("device.disk_member", BLOCK)]
    assert words in found(fake)[0].message
    assert f'allow_in_use = ["{DRIVE}"]' in found(fake)[0].hint
    assert told(fake, DRIVE) == [("device.disk_member", WARN)]


def test_a_whole_disk_may_be_the_member(boot: Boot) -> None:
    assert told(boot(drive(contents="lvm"))) == [("device.disk_member", BLOCK)]


def test_the_qemu_of_another_guest_that_has_the_raw_disk_open_is_named(boot: Boot) -> None:
    qemu = FakeProcess("qemu-system-x86", pid=5_100_000, opens=("/dev/nvme1n1",), cmdline=(
        "/usr/bin/qemu-system-x86_64", "-name", "guest=nas,debug-threads=on", "-S"))  # fmt: skip
    fake = boot(drive(part()), qemu)
    assert told(fake) == [("device.disk_in_use", BLOCK)]
    assert "nvme1n1 is open in QEMU of the guest nas (process 5100000)" in found(fake)[0].message
    assert told(fake, DRIVE) == [("device.disk_in_use", WARN)]


def test_a_process_that_sees_the_node_under_another_name_is_found(boot: Boot) -> None:
    inside = FakeProcess("postgres", opens=("/dev/nvme1n1p1",), shown_as=(("/dev/nvme1n1p1", "/dev/data"),))
    assert "nvme1n1p1 is open in postgres" in found(boot(drive(part()), inside))[0].message


def test_udev_that_looks_at_a_drive_which_has_just_come_back_is_waited_for(boot: Boot) -> None:
    fake = boot(drive(part()))
    pid = fake.kernel.add_process(FakeProcess("(udev-worker)", opens=("/dev/nvme1n1",)))
    later = threading.Timer(0.3, fake.kernel.end_process, (pid,))
    later.start()
    assert found(fake) == ()
    later.join()


def test_udev_that_never_ends_is_a_process_like_any_other(boot: Boot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "SETTLE", 0.2)
    fake = boot(drive(part()), FakeProcess("systemd-udevd", opens=("/dev/nvme1n1",)))
    assert "nvme1n1 is open in systemd-udevd" in found(fake)[0].message


def test_what_is_certain_and_what_may_be_allowed_are_told_apart(boot: Boot) -> None:
    fake = boot(drive(part(1, held=True), part(2, contents="lvm")))
    assert told(fake, DRIVE) == [("device.disk_in_use", BLOCK), ("device.disk_member", WARN)]


def test_a_root_on_nvme_with_multipath_is_seen_through_its_subsystem(boot: Boot) -> None:
    fake = boot(drive(part(mounted_at="/srv"), multipath=True))
    assert "nvme1n1p1 is mounted on /srv" in found(fake)[0].message


def test_a_drive_that_never_answers_is_refused_in_time(boot: Boot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exclusive, "DEADLINE", 0.3)
    fake = boot(drive(part()))
    fake.kernel.hang_open("/dev/nvme1n1")
    assert told(fake) == [("device.disk_unknown", BLOCK)]
    assert "nvme1n1 is in unknown use: it does not answer." in found(fake)[0].message
    assert told(fake, DRIVE) == [("device.disk_unknown", WARN)]
    fake.kernel.release()


@pytest.mark.skipif(os.geteuid() != 0, reason="who is not root is only warned")
def test_root_that_cannot_ask_refuses(boot: Boot) -> None:
    fake = boot(drive(part()))
    fake.kernel.fail_open("/dev/nvme1n1p1")
    assert told(fake) == [("device.disk_unknown", BLOCK)]


def test_without_root_it_is_a_warning(boot: Boot, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = boot(drive(part()))
    fake.kernel.fail_open("/dev/nvme1n1")
    fake.kernel.fail_open("/dev/nvme1n1p1")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    [finding] = found(fake)
    assert (finding.code, finding.severity) == ("device.disk_unknown", WARN)
    assert finding.message.count("nvme1n1") == 1
    assert "as root" in finding.hint


@pytest.mark.skipif(os.geteuid() != 0, reason="who is not root is only warned")
@pytest.mark.parametrize(("comm", "severity"), [("qemu-system-x86", BLOCK), ("chronyd", WARN)])
def test_of_the_processes_that_root_may_not_look_into_a_qemu_counts(
    boot: Boot, monkeypatch: pytest.MonkeyPatch, comm: str, severity: Severity
) -> None:
    fake = boot(drive(part()), FakeProcess(comm, pid=5_100_000))
    look_into = os.listdir

    def guarded(path: str) -> list[str]:
        if path.endswith("/5100000/fd"):
            raise PermissionError(errno.EACCES, "as AppArmor says")
        return look_into(path)

    monkeypatch.setattr(os, "listdir", guarded)
    assert told(fake) == [("device.disk_unknown", severity)]


def test_a_file_in_the_place_of_a_node_is_no_proof_that_the_drive_is_free(boot: Boot) -> None:
    fake = boot(drive(part(size=1 << 20)))
    dev = Path(fake.root, "dev")
    dev.unlink()
    dev.mkdir()
    for name in ("nvme1n1", "nvme1n1p1"):
        (dev / name).write_bytes(b"left over")
    assert told(fake) == [("device.disk_unknown", BLOCK)]


def test_an_empty_card_reader_is_free(boot: Boot) -> None:
    fake = boot(drive())
    fake.kernel.fail_open("/dev/nvme1n1", errno.ENOMEDIUM)
    assert found(fake) == ()


# The network

NIC, BACKUP = "0000:00:1f.6", "0000:03:00.0"
CARD = FakeDevice(BACKUP, 0x8086, 0x1521, 0x020000, driver="e1000e", drivers=("e1000e",), group=40, network="enp3s0")


def network(fake: FakeHost, address: str, *allowed: str) -> list[tuple[str, Severity, str]]:
    said = in_use.findings(Host(fake.paths, fake.programs), address, allowed)
    return [(finding.code, finding.severity, finding.message) for finding in said]


def test_the_only_card_with_a_default_route_is_refused_until_the_guest_file_allows_it(boot: Boot) -> None:
    fake = boot(CARD)
    assert [one[:2] for one in network(fake, NIC)] == [("device.only_network", BLOCK)]
    assert [one[:2] for one in network(fake, NIC, NIC)] == [("device.only_network", WARN)]
    assert network(fake, BACKUP) == []


def test_a_port_of_the_bond_that_carries_the_default_route_is_refused(boot: Boot) -> None:
    fake = boot(CARD, links=(FakeLink("bond0", ("eno1", "enp3s0")),), routes=(("default", "bond0"),))
    assert network(fake, BACKUP) == [("device.network_in_use", BLOCK, f"{BACKUP} carries the default route (bond0).")]


def test_the_only_card_below_open_vswitch_is_refused(boot: Boot) -> None:
    links = (FakeLink("ovs-system", ("enp3s0",)), FakeLink("br-ex", ()))
    fake = boot(CARD, links=links, routes=(("default", "br-ex"),))
    assert [one[:2] for one in network(fake, BACKUP)] == [("device.only_network", BLOCK)]
    assert network(fake, NIC) == []


def test_the_card_under_a_bridge_by_which_somebody_is_logged_in_is_refused(boot: Boot) -> None:
    sshd = FakeProcess("sshd", peers=("10.0.0.9",), port=2222)
    ways = (("default", "eno1"), ("10.0.0.0/8", "br0"))
    fake = boot(CARD, sshd, links=(FakeLink("br0", ("enp3s0",)),), routes=ways)
    said = f"{BACKUP} carries an SSH connection from 10.0.0.9 (br0)."
    assert network(fake, BACKUP) == [("device.network_in_use", BLOCK, said)]
    assert network(fake, BACKUP, BACKUP) == [("device.network_in_use", WARN, said)]


def test_a_card_that_only_waits_for_the_other_one_to_fail_may_go(boot: Boot) -> None:
    assert network(boot(CARD, routes=(("default", "eno1"), ("default", "enp3s0"))), BACKUP) == []
