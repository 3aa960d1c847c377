"""Whole starts and stops of a guest without any hostdev, through the installed hook on a simulated host."""

from __future__ import annotations

import json
import os
import shutil
import subprocess

import pytest

from vfioctl.testing.domains import UUID, DiskXml, domain
from vfioctl.testing.libvirt import FakeLibvirt
from vfioctl.testing.scenarios import two_gpu
from vfioctl.wait import until

NVRAM = "/nvram/win11_VARS.fd"
SETTINGS = "[snapshot]\nenabled = true\nkeep = 1\ndisks = {vda = 'require'}\n"


@pytest.fixture
def libvirt(start_host):
    if not shutil.which("qemu-img"):
        pytest.skip("qemu-img is not installed (apt install qemu-utils)")
    daemon = FakeLibvirt(start_host(two_gpu()))
    daemon.install()
    daemon.manage("win11", SETTINGS)
    for name, form in (("vda", "qcow2"), ("vdb", "raw")):
        path = daemon.host.paths.at("images", name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        subprocess.run(["qemu-img", "create", "-q", "-f", form, path, "1M"], check=True)
    os.makedirs(daemon.host.paths.at("nvram"))
    with open(daemon.host.paths.at(NVRAM), "w") as file:
        file.write("variables")
    return daemon


def xml(form: str = "qcow2") -> bytes:
    disks = (DiskXml("/images/vda", "vda", format=form), DiskXml("/images/vdb", "vdb", format="raw"))
    return domain(disks=disks, nvram=NVRAM).encode()


def snapshots(libvirt) -> list[str]:
    argv = ["qemu-img", "info", "--output=json", libvirt.host.paths.at("images/vda")]
    shown = json.loads(subprocess.run(argv, check=True, capture_output=True, text=True).stdout)
    return [snapshot["name"] for snapshot in shown.get("snapshots", ())]


def copies(libvirt) -> list[str]:
    """The snapshots that the copies of the NVRAM belong to."""
    names = os.listdir(libvirt.host.paths.at("nvram"))
    return sorted(name.removeprefix("win11_VARS.fd.") for name in names if name != "win11_VARS.fd")


def is_open(libvirt) -> bool:
    """Whether a journal of the guest is still there."""
    paths = libvirt.host.paths
    return any(os.path.exists(path) for path in (paths.boot_journal(UUID), paths.disk_journal(UUID)))


def start(libvirt, data: bytes):
    return libvirt.start("win11", UUID, data)


def age(libvirt, *names: str) -> None:
    """Leave snapshots of earlier starts."""
    for name in names:
        subprocess.run(["qemu-img", "snapshot", "-c", name, libvirt.host.paths.at("images/vda")], check=True)
        shutil.copy(libvirt.host.paths.at(NVRAM), libvirt.host.paths.at(f"{NVRAM}.{name}"))


def test_a_start_keeps_disk_and_nvram_and_a_stop_leaves_them(libvirt):
    assert start(libvirt, xml()).status == 0
    (name,) = snapshots(libvirt)
    assert copies(libvirt) == [name]
    libvirt.stop("win11", xml())
    assert until(lambda: not is_open(libvirt), 20)
    assert (snapshots(libvirt), copies(libvirt)) == ([name], [name])
    assert not any(call.status or call.stderr for call in libvirt.calls)


def test_old_ones_go_only_after_the_stop(libvirt):
    age(libvirt, "vfioctl-20200101-000000", "vfioctl-20210101-000000")
    assert start(libvirt, xml()).status == 0
    assert (len(snapshots(libvirt)), len(copies(libvirt))) == (3, 3)
    libvirt.stop("win11", xml())
    assert until(lambda: not is_open(libvirt), 20)
    assert len(snapshots(libvirt)) == len(copies(libvirt)) == 1
    assert "2020" not in snapshots(libvirt)[0]


def test_a_required_disk_that_is_raw_keeps_the_guest_from_starting_and_everything_as_it_was(libvirt):
    refused = start(libvirt, xml("raw"))
    assert refused.status == 3
    assert "vda of guest win11 is not snapshotted: it is a raw image, and only qcow2 holds snapshots." in refused.stderr
    assert (snapshots(libvirt), copies(libvirt), is_open(libvirt)) == ([], [], False)


def test_when_a_later_disk_fails_the_snapshot_of_the_first_is_removed(libvirt):
    real = shutil.which("qemu-img")
    program = libvirt.host.paths.at("usr/bin/qemu-img")
    os.unlink(program)
    with open(program, "w") as script:
        script.write('#!/bin/sh\ncase "$*" in "snapshot -c "*vdc) echo no space >&2; exit 1;; esac\n')
        script.write(f'exec {real} "$@"\n')
    os.chmod(program, 0o755)
    subprocess.run([real, "create", "-q", "-f", "qcow2", libvirt.host.paths.at("images/vdc"), "1M"], check=True)
    disks = (DiskXml("/images/vda", "vda"), DiskXml("/images/vdc", "vdc"))
    failed = start(libvirt, domain(disks=disks, nvram=NVRAM).encode())
    assert failed.status != 0
    assert "no space" in failed.stderr
    assert (snapshots(libvirt), copies(libvirt), is_open(libvirt)) == ([], [], False)


def test_an_incoming_guest_gets_no_snapshot(libvirt):
    libvirt.call("win11", "restore", "begin", xml())
    assert start(libvirt, xml()).status == 0
    assert (snapshots(libvirt), copies(libvirt)) == ([], [])
