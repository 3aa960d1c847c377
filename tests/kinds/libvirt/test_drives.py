"""A drive that this host or a guest writes to is given to no guest and mounted for no pool: libvirt's test driver."""

from __future__ import annotations

import uuid as uuids
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from step_builders import planned

from vfioctl.errors import VfioctlError
from vfioctl.testing import parts
from vfioctl.testing.host import FakeHost
from vfioctl.testing.model import FakeBlock, FakeDevice
from vfioctl.txn import blobs
from vfioctl.txn.kind import kind
from vfioctl.txn.machine import Machine
from vfioctl.txn.step import Step, StepProposal

pytest.importorskip("libvirt", reason="libvirt-python is not installed (docs/how-to/install.md)")

URI = "test:///default"
DOMAIN = """<domain type='test'><name>{name}</name><uuid>{uuid}</uuid><memory>1024</memory><os><type>hvm</type></os>
<devices>{disks}</devices></domain>"""
DISK = """<disk type='{kind}' device='disk'><driver name='qemu' type='raw'/><source {kind_of}='{path}'/>
<target dev='vd{letter}' bus='virtio'/>{more}</disk>"""
POOL = """<pool type='fs'><name>x</name><uuid>{uuid}</uuid><source><device path='{device}'/></source>
<target><path>/srv/x</path></target></pool>"""


class Drive:
    """A second drive of a machine, and libvirt's test driver beside it: it keeps guests for the whole process."""

    def __init__(self, fake: FakeHost) -> None:
        self.fake = fake
        self.machine = Machine(fake.paths, fake.programs)
        self.known: list[Any] = []

    def node(self, name: str) -> str:
        return f"{self.fake.root}/dev/{name}"

    def guest(self, name: str, *disks: str) -> str:
        """A guest with `disks`; its UUID."""
        uuid = str(uuids.uuid4())
        document = DOMAIN.format(name=name, uuid=uuid, disks="".join(disks))
        self.known.append(self.machine.libvirt(URI).libvirt.defineXML(document))
        return uuid

    def blob(self, text: str) -> str:
        return blobs.store(self.machine.paths, text.encode()).name

    def step(self, sort: str, **params: Any) -> Step:
        return planned(self.machine, sort, {"uri": URI, **params}, deadline=10.0)

    def pool(self, name: str) -> Step:
        uuid = str(uuids.uuid4())
        return self.step("pool.define", uuid=uuid, blob=self.blob(POOL.format(uuid=uuid, device=self.node(name))))

    def start(self, name: str) -> Step:
        """The start of a pool that is there."""
        uuid = str(uuids.uuid4())
        self.known.append(self.machine.libvirt(URI).libvirt.storagePoolDefineXML(
            POOL.format(uuid=uuid, device=self.node(name))))  # fmt: skip
        return self.step("pool.start", uuid=uuid)

    def define(self, *disks: str) -> Step:
        uuid = str(uuids.uuid4())
        document = DOMAIN.format(name="new", uuid=uuid, disks="".join(disks))
        return self.step("domain.define", uuid=uuid, blob=self.blob(document), former="")

    def attach(self, device: str) -> Step:
        uuid = self.guest(f"web{len(self.known)}")
        return self.step("device.attach", uuid=uuid, blob=self.blob(device), where=["config"])

    def said(self, step: Step) -> str:
        """What the check says, and the guard after it; "" where both let it pass."""
        proposal = StepProposal(step.id, step.kind, step.params, step.reason)
        found = [f"[{one.code}] {one.message}" for one in kind(step.kind).check(proposal, self.machine.host())]
        if not found:
            kind(step.kind).guard(step, self.machine)
            return ""
        with pytest.raises(VfioctlError) as caught:
            kind(step.kind).guard(step, self.machine)
        assert [f"[{caught.value.code}] {caught.value.message}"] == found
        return found[0]

    def remove(self) -> None:
        for one in self.known:
            one.undefine()
        for connection in self.machine.opened.values():
            connection.close()


Boot = Callable[..., Drive]


@pytest.fixture
def drive(start_host: Callable[..., FakeHost]) -> Iterator[Boot]:
    made: list[Drive] = []

    def boot(*partitions: FakeBlock, volumes: tuple[FakeBlock, ...] = (), **whole: Any) -> Drive:
        disk = FakeBlock("nvme1n1", partitions, **whole)
        second = FakeDevice("0000:02:00.0", 0x1344, 0x51C0, 0x010802, driver="nvme", drivers=("nvme",), group=30,
                            disks=(disk,))  # fmt: skip
        base = parts.headless()
        spec = replace(base, name="disks", devices=(*parts.chipset(), second), modules=parts.common_modules(),
                       volumes=volumes)  # fmt: skip
        made.append(Drive(start_host(spec)))
        return made[-1]

    yield boot
    for one in made:
        one.remove()


def part(number: int = 1, **what: Any) -> FakeBlock:
    return FakeBlock(f"nvme1n1p{number}", **what)


def volume(**what: Any) -> FakeBlock:
    return FakeBlock("dm-0", on=("nvme1n1p1",), mapped="vg0-home", uuid="LVM-abc", **what)


def disk(path: str, kind_of: str = "block", more: str = "", letter: str = "b") -> str:
    attribute = "dev" if kind_of == "block" else "file"
    return DISK.format(kind=kind_of, kind_of=attribute, path=path, more=more, letter=letter)


@pytest.mark.parametrize("name", ["nvme1n1", "nvme1n1p1"])
def test_a_drive_or_partition_that_a_guest_has_is_mounted_for_no_pool(drive: Boot, name: str) -> None:
    on = drive(part(), part(2))
    on.guest("nas", disk(on.node(name)))
    said = on.said(on.pool("nvme1n1p1"))
    assert said.startswith("[disk.claimed]")
    assert "as a disk: nas." in said


def test_a_pool_that_is_there_does_not_start_on_the_drive_of_a_guest_or_on_one_in_use(drive: Boot) -> None:
    on = drive(part(), part(2, mounted_at="/home"))
    on.guest("nas", disk(on.node("nvme1n1p1")))
    for name, words in (("nvme1n1p1", "nas"), ("nvme1n1p2", "mounted on /home")):
        step = on.start(name)
        with pytest.raises(VfioctlError, match=words) as caught:
            kind("pool.start").guard(step, on.machine)
        assert caught.value.code == "disk.claimed"
        on.known.pop().undefine()


def test_a_partition_beside_that_of_a_guest_becomes_a_pool(drive: Boot) -> None:
    on = drive(part(), part(2))
    on.guest("nas", disk(on.node("nvme1n1p1")))
    assert on.said(on.pool("nvme1n1p2")) == ""


def test_a_free_partition_becomes_a_pool_and_a_disk(drive: Boot) -> None:
    on = drive(part(), part(2, mounted_at="/srv/other"))
    node = on.node("nvme1n1p1")
    assert [on.said(step) for step in (on.pool("nvme1n1p1"), on.define(disk(node)), on.attach(disk(node)))] == [""] * 3


def test_what_libvirt_has_mounted_for_the_pool_before_is_no_reason(drive: Boot) -> None:
    on = drive(part(mounted_at="/srv/x"))
    assert on.said(on.pool("nvme1n1p1")) == ""


@pytest.mark.parametrize(("block", "words"), [
    (part(mounted_at="/home"), "nvme1n1p1 is mounted on /home"), (part(swap=True), "nvme1n1p1 is swap space"),
    (part(held=True), "nvme1n1p1 is in use"),
])  # fmt: skip
def test_what_this_host_uses_goes_to_no_guest_and_no_pool(drive: Boot, block: FakeBlock, words: str) -> None:
    on = drive(block)
    for name in ("nvme1n1p1", "nvme1n1"):
        device = disk(on.node(name))
        for step in (on.define(device), on.attach(device), on.pool(name)):
            assert words in on.said(step)
            assert on.said(step).startswith(f"[disk.claimed] {on.node(name)} is in use by this host:")


@pytest.mark.parametrize("use", [{"mounted_at": "/home"}, {"swap": True}])
def test_a_logical_volume_that_this_host_uses_goes_to_no_guest(drive: Boot, use: dict[str, Any]) -> None:
    on = drive(part(), volumes=(volume(**use),))
    device = disk(on.node("dm-0"))
    assert "dm-0 (vg0-home) is" in on.said(on.attach(device))
    assert "dm-0 (vg0-home) is" in on.said(on.define(device))


def test_a_logical_volume_beside_one_that_is_mounted_goes_to_a_guest(drive: Boot) -> None:
    other = FakeBlock("dm-1", on=("nvme1n1p1",), mapped="vg0-web", uuid="LVM-def")
    on = drive(part(), volumes=(volume(mounted_at="/home"), other))
    assert on.said(on.attach(disk(on.node("dm-1")))) == ""


def test_a_member_of_a_mounted_btrfs_goes_to_no_guest(drive: Boot) -> None:
    uuid = "6f1c9d3e-7c2f-4a51-9c55-4f3c3c1f9a10"
    on = drive(part(btrfs=uuid, mounted_at="/home"), part(2, btrfs=uuid))
    assert "of the mounted btrfs" in on.said(on.attach(disk(on.node("nvme1n1p2"))))


@pytest.mark.parametrize("more", ["<readonly/>", "<shareable/>"])
def test_a_disk_that_is_only_read_or_meant_for_several_is_for_the_plan_to_judge(drive: Boot, more: str) -> None:
    on = drive(part(mounted_at="/home"))
    assert on.said(on.attach(disk(on.node("nvme1n1p1"), more=more))) == ""


def test_a_disk_that_the_guest_has_already_is_no_reason(drive: Boot) -> None:
    on = drive(part(mounted_at="/home"))
    uuid = on.guest("web", disk(on.node("nvme1n1p1")))
    former = on.machine.libvirt(URI).libvirt.lookupByName("web").XMLDesc(2)
    wanted = former.replace("<memory unit='KiB'>1024<", "<memory unit='KiB'>2048<")
    assert wanted != former
    step = on.step("domain.define", uuid=uuid, blob=on.blob(wanted), former=on.blob(former))
    assert on.said(step) == ""


def test_a_file_is_no_drive(drive: Boot, tmp_path: Path) -> None:
    """A link to a drive is one: tests/libvirt/test_guest_devices.py."""
    on = drive(part(mounted_at="/home"))
    file = tmp_path / "web.raw"
    file.touch()
    assert on.said(on.attach(disk(str(file), "file"))) == ""
