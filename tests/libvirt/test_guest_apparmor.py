"""What AppArmor would let a guest of ours open: the helper of libvirt's driver is asked, without AppArmor itself."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from disk_images import create
from template_lab import PLACE, SOURCE, Templates, prepared

pytest.importorskip("vfioctl_guest")

from vfioctl_guest.machine import Board, Card, Drive, Machine
from vfioctl_guest.machine_xml import document

HELPER = "/usr/lib/libvirt/virt-aa-helper"
UUID = "9f4f3a3a-8f0a-4b0e-9a53-0f2f0f7f1a11"
BOARD = Board("qemu", "x86_64", "pc-q35-7.2", "/usr/bin/qemu-system-x86_64", "maximum", "vga")
pytestmark = pytest.mark.skipif(
    not os.access(HELPER, os.X_OK) or os.geteuid() != 0, reason=f"needs root and {HELPER} (libvirt-daemon-system)"
)


def rules(xml: str, *inside: str) -> dict[str, str]:
    """Each path with what may be done to it, as the helper would write it into a profile; it is called `inside`."""
    argv = [*inside, HELPER, "--create", "--dryrun", "-u", f"libvirt-{UUID}"]
    said = subprocess.run(argv, input=xml, capture_output=True, text=True, check=True)
    lines = (said.stdout + said.stderr).splitlines()
    found = [line.strip().rstrip(",") for line in lines if line.strip().startswith('"')]
    return {path.strip('"'): rights for path, _, rights in (line.rpartition(" ") for line in found)}


def test_each_image_of_each_chain_is_in_the_profile(tmp_path: Path) -> None:
    base = create(str(tmp_path / "base.qcow2"))
    middle = create(str(tmp_path / "middle.qcow2"), backing=base)
    top = create(str(tmp_path / "top.qcow2"), backing=middle)
    plain, iso = tmp_path / "plain.raw", tmp_path / "install.iso"
    for file in (plain, iso):
        file.write_bytes(bytes(1 << 20))
    machine = Machine(
        "web", UUID, 64 << 20, 1, BOARD,
        drives=(Drive(top, "qcow2", "vda"), Drive(str(plain), "raw", "vdb"),
                Drive(str(iso), "raw", "sda", "sata", cdrom=True, readonly=True)),
        cards=(Card("default", "52:54:00:00:00:01"),),
    )  # fmt: skip
    found = rules(document(machine))
    assert "w" in found[top]
    assert "w" in found[str(plain)]
    for path in (middle, base, str(iso)):
        assert "r" in found[path]
        assert "w" not in found[path]


def test_its_nvram_is_in_the_profile() -> None:
    machine = Machine("web", UUID, 64 << 20, 1, BOARD, firmware="uefi")
    assert "w" in rules(document(machine))[machine.nvram]


def test_what_the_commands_make_of_a_template_is_in_the_profile_with_all_that_it_lies_above(
    module_lab: Any, tmp_path: Path
) -> None:
    pytest.importorskip("vfioctl_storage")
    on = Templates(prepared(module_lab, tmp_path))
    iso = f"{PLACE}/fast/install.iso"
    on.cli("template", "add", "tiny", "--pool", "fast", "--file", SOURCE)
    on.cli("volume", "create", "fast", "data.qcow2", "--size", "8M")
    on.host.iso(iso)
    on.cli("guest", "create", "web", "--memory", "64M", "--template", "tiny", "--pool", "fast", "--iso", iso,
           "--hostname", "web")  # fmt: skip
    on.cli("guest", "attach", "web", "--volume", "fast/data.qcow2")
    xml = module_lab.virsh("dumpxml", "web").stdout.replace(on.host.lab.virsh("domuuid", "web").stdout.strip(), UUID)
    found = rules(xml, *module_lab.inside())
    on.remove()
    images = {f"{PLACE}/fast/{name}": "w" in found[f"{PLACE}/fast/{name}"]
              for name in ("web.qcow2", "data.qcow2", "_templates_/tiny.qcow2", "install.iso",
                           "web-seed.iso")}  # fmt: skip
    assert list(images.values()) == [True, True, False, False, False]
