"""Guests whose firmware libvirt chooses, on a real libvirtd that finds some: made-up images, with real descriptors."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import snapshot_lab
from forwarding import forwarded

pytest.importorskip("libvirt")
pytest.importorskip("vfioctl_guest")

QEMU = "/usr/share/qemu"
CHOSEN = """\
<domain type='qemu'>
  <name>{name}</name><memory unit='MiB'>32</memory><vcpu>1</vcpu>
  <os firmware='efi'><type arch='x86_64' machine='q35'>hvm</type></os><features><acpi/></features>
  <devices><emulator>/usr/bin/qemu-system-x86_64</emulator>
    <disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{disk}'/>
      <target dev='vda' bus='virtio'/></disk>
    <memballoon model='none'/></devices>
</domain>
"""
PLAIN, SECURE = ["acpi-s3"], ["acpi-s3", "enrolled-keys", "requires-smm", "secure-boot"]


def descriptor(place: Path, features: list[str]) -> str:
    """What QEMU's package of a firmware says of it (docs/interop/firmware.json in QEMU)."""
    flash = {"device": "flash", "executable": {"filename": f"{place}/code.fd", "format": "raw"},
             "nvram-template": {"filename": f"{place}/vars.fd", "format": "raw"}}  # fmt: skip
    return json.dumps({
        "description": "made up", "interface-types": ["uefi"], "mapping": flash, "features": features, "tags": [],
        "targets": [{"architecture": "x86_64", "machines": ["pc-q35-*"]}],
    })  # fmt: skip


@pytest.fixture
def host(make_lab: Callable[..., Any], tmp_path: Path) -> Any:
    tmp_path.chmod(0o755)
    shown, place = tmp_path / "qemu", tmp_path / "host"
    lab = make_lab()
    subprocess.run(["cp", "-a", QEMU, str(shown)], check=True)
    shutil.rmtree(shown / "firmware", ignore_errors=True)  # what this computer has of its own
    (shown / "firmware").mkdir()
    for name, features in (("60-plain", PLAIN), ("50-secure", SECURE)):
        (shown / f"firmware/{name}.json").write_text(descriptor(shown, features))
    for name in ("code.fd", "vars.fd"):
        (shown / name).write_bytes(bytes(1 << 20))
    subprocess.run(lab.inside("mount", "--bind", str(shown), QEMU), check=True)
    place.mkdir(mode=0o755)
    made = snapshot_lab.SnapshotLab(lab, place)
    lab.start()
    lab.virsh("pool-define-as", "default", "dir", "--target", snapshot_lab.IMAGES)
    lab.virsh("pool-start", "default")
    return made


def test_each_firmware_is_made_as_planned_and_deleted_before_it_ever_ran(host: Any) -> None:
    before = host.files()
    for firmware, enabled in (("uefi", "no"), ("uefi-secure", "yes")):
        argv = ("web", "--memory", "64M", "--disk", "8M", "--firmware", firmware)
        ended = host.cli("guest", "create", *argv)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        root = ET.fromstring(host.lab.virsh("dumpxml", "--inactive", "web").stdout)
        assert {one.get("enabled") for one in root.iterfind("os/firmware/feature")} == {enabled}
        assert root.findtext("os/nvram") == f"{snapshot_lab.NVRAM}/web-{root.findtext('uuid', '')[:8]}_VARS.fd"
        ended = host.cli("guest", "delete", "web", "--yes")
        assert ended.returncode == 0, ended.stdout + ended.stderr
        assert host.files() == before
    assert host.left_open() == []


class Chosen:
    """A guest whose XML asks for firmware='efi' alone, as virt-manager's does; it has run, so that it has NVRAM."""

    def __init__(self, host: Any, name: str = "old") -> None:
        self.host, self.name, disk = host, name, f"{snapshot_lab.IMAGES}/{name}.qcow2"
        host.must("qemu-img", "create", "-q", "-f", "qcow2", disk, "8M")
        document = host.place / f"{name}.xml"
        document.write_text(CHOSEN.format(name=name, disk=disk))
        for argv in (("define", str(document)), ("start", name), ("destroy", name), ("pool-refresh", "default")):
            host.lab.virsh(*argv)
        self.write("mine")

    @property
    def nvram(self) -> str:
        return f"{snapshot_lab.NVRAM}/{self.name}_VARS.fd"

    def write(self, word: str) -> None:
        self.host.must("sh", "-c", f"printf {word} | dd conv=notrunc status=none of={self.nvram}")

    def cli(self, *argv: str) -> str:
        ended = self.host.cli(*argv)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        said: str = ended.stdout + ended.stderr
        return said


@pytest.fixture
def chosen(host: Any) -> Chosen:
    return Chosen(host)


def nvrams(host: Any) -> dict[str, str]:
    """The files of firmware variables by their names, with what they begin with."""
    names = host.must("ls", snapshot_lab.NVRAM).split()
    return {name: host.must("head", "-c", "4", f"{snapshot_lab.NVRAM}/{name}") for name in names}


def started(host: Any, name: str) -> str:
    """The NVRAM that a guest runs with."""
    host.lab.virsh("start", name)
    root = ET.fromstring(host.lab.virsh("dumpxml", name).stdout)
    host.lab.virsh("destroy", name)
    return root.findtext("os/nvram", "")


def test_nvram_that_nothing_names_goes_with_its_guest_and_that_is_said(host: Any, chosen: Chosen) -> None:
    assert nvrams(host) == {"old_VARS.fd": "mine"}
    assert f"nvram: {chosen.nvram}" in chosen.cli("guest", "delete", "old", "--dry-run")
    chosen.cli("guest", "delete", "old", "--yes")
    assert nvrams(host) == {}
    assert host.left_open() == []


def test_nvram_that_nothing_names_comes_with_a_new_name(host: Any, chosen: Chosen) -> None:
    chosen.cli("guest", "rename", "old", "new")
    assert list(nvrams(host).values()) == ["mine"]
    assert nvrams(host)[os.path.basename(started(host, "new"))] == "mine"


def test_where_nobody_could_move_it_the_guest_keeps_its_name_or_its_nvram(host: Any, chosen: Chosen) -> None:
    """A libvirt that has written the path down finds it by that, whatever the guest is called."""
    is_named = "old_VARS.fd" in host.lab.virsh("dumpxml", "--inactive", "old").stdout
    with forwarded(host.lab) as node:
        ended = host.cli("guest", "rename", "old", "new", "--node", node)
    status, said, name = (0, "Its NVRAM is still called", "new") if is_named else (3, "[guest.elsewhere]", chosen.name)
    assert (ended.returncode, said in ended.stderr) == (status, True), ended.stdout + ended.stderr
    assert name in host.lab.virsh("list", "--all", "--name").stdout.split()
    assert nvrams(host) == {"old_VARS.fd": "mine"}


def test_a_clone_gets_a_copy_of_nvram_that_nothing_names(host: Any, chosen: Chosen) -> None:
    chosen.cli("guest", "clone", "old", "new")
    own = started(host, "new")
    assert own != chosen.nvram
    assert set(nvrams(host)) == {"old_VARS.fd", os.path.basename(own)}
    assert set(nvrams(host).values()) == {"mine"}


def test_a_snapshot_keeps_nvram_that_nothing_names_and_a_revert_brings_it_back(host: Any, chosen: Chosen) -> None:
    assert "no copy" not in chosen.cli("snapshot", "create", "old", "clean")
    chosen.write("late")
    chosen.cli("snapshot", "revert", "old", "clean", "--yes")
    assert nvrams(host)[os.path.basename(started(host, "old"))] == "mine"
