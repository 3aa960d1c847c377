"""Parts of the command line on their own: names of cards, commands of plugins, the managed attribute, results."""

from __future__ import annotations

import json
import os

import pytest

from vfioctl.actions import hostdev_mode
from vfioctl.actions.names import kind, names
from vfioctl.errors import VfioctlError
from vfioctl.host.model import PciDevice
from vfioctl.paths import Paths
from vfioctl.testing.domains import UUID
from vfioctl.verbs.listed import read
from vfioctl.verbs.load import load
from vfioctl.verbs.row import Row

IDS = """# a comment
10de  NVIDIA Corporation
\t2206  GA102 [GeForce RTX 3080]
\t\t1458 403f  Gigabyte
\t1aef  GA102 High Definition Audio Controller
8086  Intel Corporation
\t2206  Not this one
C 03  Display controller
\t00  VGA compatible controller
"""
CARD = PciDevice("0000:01:00.0", 0x030000, 0x10DE, 0x2206)
OTHER = PciDevice("0000:02:00.0", 0x0B4000, 0x1234, 0x2206)


def test_cards_are_called_as_pci_ids_calls_them(root) -> None:
    (root / "usr/share/misc").mkdir(parents=True)
    (root / "usr/share/misc/pci.ids").write_text(IDS)
    found = names(Paths(str(root)), (CARD, OTHER))
    assert found == {CARD.address: "NVIDIA GA102 [GeForce RTX 3080]", OTHER.address: "vendor 1234"}


def test_without_pci_ids_the_vendor_does(root) -> None:
    assert names(Paths(str(root)), (CARD,)) == {CARD.address: "NVIDIA"}
    assert (kind(CARD), kind(OTHER)) == ("VGA", "class 0b40")


# ---------------------------------------------------------------- commands of plugins


@pytest.fixture
def manifest(root):
    """Writes a manifest with one command; its module is written too."""

    def write(target: str = "json:dumps", mode: int = 0o644) -> None:
        path = root / "var/lib/vfioctl/manifest.json"
        path.parent.mkdir(exist_ok=True)
        row = {"view": "", "effect": "change", "plugin": "more", "prints": True}
        rows = [{**row, "name": "extra", "target": target, "help": "Does more."},
                {**row, "name": "plan", "target": "a:b", "help": "No."}]  # fmt: skip
        path.write_text(json.dumps({"commands": rows, "groups": [], "stamps": []}))
        path.chmod(mode)

    return write


def test_a_plugins_command_stands_in_the_help_and_takes_no_name_of_ours(run, manifest) -> None:
    manifest()
    shown = run("--help").out
    assert "extra       Does more." in shown
    assert "No." not in shown


def test_a_plugins_command_runs(run, manifest, tmp_path, monkeypatch) -> None:
    module = "import click\n@click.command('extra')\ndef command():\n    click.echo('done more')\n"
    (tmp_path / "more_commands.py").write_text(module)
    monkeypatch.syspath_prepend(str(tmp_path))
    manifest("more_commands:command")
    shown = run("extra")
    assert (shown.status, shown.out) == (0, "done more\n")


@pytest.mark.parametrize("target", ["json:dumps", "no_such_module:x", "json:nothing"])
def test_a_command_that_cannot_be_loaded_is_named_and_costs_only_itself(run, manifest, target) -> None:
    manifest(target)
    shown = run("extra")
    assert shown.status == 1
    assert f"The command 'extra' of more ({target}) cannot be loaded" in shown.err
    assert run("history").status == 0


def test_a_manifest_that_others_can_write_adds_no_command(root, manifest) -> None:
    manifest(mode=0o666)
    assert read(Paths(str(root))).rows == ()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"commands": 3}', '{"commands": [{}]}'])
def test_a_damaged_manifest_adds_no_command(root, text) -> None:
    path = root / "var/lib/vfioctl/manifest.json"
    path.parent.mkdir()
    path.write_text(text)
    assert read(Paths(str(root))).rows == ()


def test_a_missing_command_of_ours_is_a_bug_and_not_a_plugins(run) -> None:
    with pytest.raises(ModuleNotFoundError):
        load(Row("x", "X.", "vfioctl.cli.commands.nowhere:command"))
    with pytest.raises(VfioctlError):
        load(Row("x", "X.", "nowhere:command"))


# ---------------------------------------------------------------- the managed attribute

XML = b"""<domain>
  <!-- <hostdev type='pci' managed='yes'/> -->
  <devices>
    <hostdev mode='subsystem' type='pci' managed = 'yes' >
      <source><address domain='0x0000' bus='0x01' slot='0x00' function='0x0'/></source>
      <address type='pci' domain='0x0000' bus='0x05' slot='0x00' function='0x0'/>
    </hostdev>
    <hostdev mode='subsystem' type='usb' managed='yes'><source><address bus='1' device='2'/></source></hostdev>
    <interface type="hostdev" managed="yes"><source><address type='pci' bus='0x03'/></source></interface>
    <hostdev type='pci'><source><address bus='4'/></source></hostdev>
  </devices>
  <metadata><devices><hostdev type='pci' managed='yes'/></devices></metadata>
</domain>
"""


def test_the_devices_are_found_by_their_source_address() -> None:
    assert hostdev_mode.managed_addresses(XML) == ("0000:01:00.0", "0000:03:00.0")


def test_only_the_attribute_changes_and_comes_back_the_same() -> None:
    changed = hostdev_mode.set_managed(XML, "no", hostdev_mode.managed_addresses(XML))
    assert changed.count(b"managed = 'no'") == 1
    assert changed.count(b'managed="no"') == 1
    assert len(changed) == len(XML) - 2
    assert hostdev_mode.set_managed(changed, "yes", hostdev_mode.managed_addresses(XML)) == XML


def test_one_device_can_be_changed_alone() -> None:
    changed = hostdev_mode.set_managed(XML, "no", ("0000:03:00.0",))
    assert hostdev_mode.managed_addresses(changed) == ("0000:01:00.0",)


def test_what_was_before_is_kept_by_the_first_enable(tmp_path) -> None:
    paths = Paths(str(tmp_path))
    hostdev_mode.remember(paths, UUID, "win11", ("0000:01:00.0",))
    hostdev_mode.remember(paths, UUID, "win11", ())
    assert hostdev_mode.before(paths, "win11") == hostdev_mode.Before(UUID, ("0000:01:00.0",))
    assert hostdev_mode.before(paths, "linux") is None
    hostdev_mode.forget(paths, UUID)
    assert hostdev_mode.before(paths, "win11") is None
    assert not os.listdir(tmp_path / "var/lib/vfioctl/domains")
