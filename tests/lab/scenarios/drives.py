"""A drive that something on the host has, or will want again: refused, whoever holds it, and not a byte is changed."""

from __future__ import annotations

import os

from tests.lab.inside import card, drives, managed, programs
from tests.lab.inside.checks import eventually, expect
from tests.lab.inside.drives import Drive
from tests.lab.inside.lab import Lab
from tests.lab.inside.scenario import scenario

MOUNT = "/mnt"
GROUP, VOLUME = "store", "work"
ARRAY = "/dev/md0"


@scenario(seconds=35)
def btrfs_member(lab: Lab) -> None:
    """A partition that is the second of a mounted btrfs, and in no table of mounts: refused."""
    first, second = drives.plug(lab, 1, 2)
    with lab.check("a btrfs of both partitions is mounted by the first"):
        programs.must(["mkfs.btrfs", "-q", "-f", first.partition, second.partition])
        programs.must(["mount", first.partition, MOUNT])
        mounts = card.read("/proc/self/mounts")
        expect(truth=first.partition in mounts and second.node not in mounts, otherwise=mounts)
    refused(lab, second, "the file system is mounted")
    with lab.check("what is written to the file system can be read again"):
        with open(f"{MOUNT}/file", "wb") as file:
            file.write(bytes(1 << 20))
        programs.must(["btrfs", "scrub", "start", "-B", MOUNT])


@scenario(seconds=45)
def lvm_member(lab: Lab) -> None:
    """A partition with a volume group: refused while a volume is active, and no less when none is."""
    (drive,) = drives.plug(lab, 1)
    with lab.check("a volume of it is active, and nothing mounted"):
        programs.must(["pvcreate", "-q", "-y", drive.partition])
        programs.must(["vgcreate", "-q", GROUP, drive.partition])
        programs.must(["lvcreate", "-q", "-y", "-L", "64M", "-n", VOLUME, GROUP])
        eventually(lambda: bool(_holders(drive)), 20, "the partition has no holder")
    refused(lab, drive, "active")
    with lab.check("the group is not active any more"):
        programs.must(["vgchange", "-q", "-an", GROUP])
        eventually(lambda: not _holders(drive), 20, lambda: f"held by {_holders(drive)}")
    refused(lab, drive, "inactive")
    goes_and_returns(lab, drive, f'allow_in_use = ["{drive.address}"]\n')
    with lab.check("the group is whole"):
        eventually(lambda: programs.run(["vgchange", "-q", "-ay", GROUP]).returncode == 0, 30, "it cannot be activated")
        programs.must(["lvs", f"{GROUP}/{VOLUME}"])


@scenario(seconds=40)
def md_member(lab: Lab) -> None:
    """A partition of a RAID: refused while the array runs, and no less when it is stopped."""
    (drive,) = drives.plug(lab, 1)
    with lab.check("an array of it runs, degraded"):
        create = ["mdadm", "--create", ARRAY, "--run", "--level=1", "--raid-devices=2", drive.partition, "missing"]
        programs.must([*create, "--metadata=1.2"])
        eventually(lambda: bool(_holders(drive)), 20, "the partition has no holder")
    refused(lab, drive, "running")
    with lab.check("the array is stopped"):
        programs.must(["mdadm", "--stop", ARRAY])
        eventually(lambda: not _holders(drive), 20, lambda: f"held by {_holders(drive)}")
    refused(lab, drive, "stopped")


@scenario(seconds=35)
def disk_of_another_guest(lab: Lab) -> None:
    """A drive that a QEMU has as its disk, which opens it for others too: refused, and the process is named."""
    (drive,) = drives.plug(lab, 1)
    with lab.check("a QEMU has the whole disk open") as said:
        disk = f"driver=host_device,filename={drive.node},node-name=disk"
        qemu = ["qemu-system-x86_64", "-machine", "none", "-nodefaults", "-display", "none", "-blockdev", disk]
        programs.as_unit("other-guest", qemu)
        eventually(lambda: bool(card.openers(drive.node)), 60, "it has not")
        said.append(f"{card.openers(drive.node)}")
    refused(lab, drive, "a QEMU has it", programs.unit("other-guest", "MainPID"))
    with lab.check("once it has ended, nothing holds the drive"):
        programs.must(["systemctl", "stop", "other-guest"])
    goes_and_returns(lab, drive, "")


def goes_and_returns(lab: Lab, drive: Drive, settings: str) -> None:
    """It is given after all, and is as before afterwards."""
    before = drive.look()
    machine = drive.guest()
    machine.define(settings)
    machine.start(lab)
    machine.destroy(lab)
    machine.is_as(lab, before.state)
    managed.has_finished(lab, "returned")


def refused(lab: Lab, drive: Drive, label: str, *words: str) -> None:
    """A start of the guest that asks for it names the controller and the drive, of which nothing has changed."""
    before = drive.look()
    machine = drive.guest()
    machine.define()
    machine.is_refused(lab, drive.address, drive.name, *words, label=f"{label}: virsh start is refused")
    drive.is_untouched(lab, before)
    managed.has_finished(lab, label)


def _holders(drive: Drive) -> list[str]:
    return os.listdir(f"/sys/block/{drive.name}/{drive.name}p1/holders")
