"""`vfioctl guest create --firmware` on a real libvirtd that finds firmware: made-up images, with real descriptors."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import snapshot_lab

pytest.importorskip("libvirt")
pytest.importorskip("vfioctl_guest")

QEMU = "/usr/share/qemu"
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
