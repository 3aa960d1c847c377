"""The core knows no plugin by its name: neither its table, nor its distribution, nor its settings."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from reference import PLUGIN_DIRS, ROOT

from vfioctl.plugin.static import read_static

PACKAGE = ROOT / "vfioctl"
SOURCES = sorted(path for path in PACKAGE.rglob("*.py") if "testing" not in path.parts)
STATIC = [read_static(str(directory)) for directory in PLUGIN_DIRS]
# One without settings is called as what its verbs are about, of which the core speaks too: "guest".
NAMES = {data["name"] for data in STATIC if data["config"]}.union(
    directory.name.replace("_", "-") for directory in PLUGIN_DIRS
)
SETTINGS = {f"{data['name']}.{key}" for data in STATIC for key in data["config"]}
# Words of the kernel and of libvirt that a plugin is named after.
MEANT = {
    "host/model.py": {"nvidia", "amdgpu"},  # drivers of graphics cards
    "host/nodes.py": {"nvidia", "amdgpu"},  # drivers with nodes of their own kind
    "kinds/pci/__init__.py": {"nvidia"},  # a driver whose unbind hangs
    "events/domain.py": {"snapshot"},  # an attribute of <disk>
    "kinds/disks/images.py": {"snapshot"},  # a command of qemu-img
    "kinds/disks/disk_snapshot_apply.py": {"snapshot"},  # the same
    "virt/snapshots.py": {"snapshot"},  # an attribute of the disks of a snapshot
    "cli/words.py": {"snapshot"},  # a noun that begins words of virsh
    "cli/demo.py": {"nvidia", "amdgpu"},  # simulated machines
    "cli/commands/demo.py": {"nvidia", "amdgpu"},
}


def named(source: str) -> Iterator[str]:
    """Plugins and their settings as whole strings; prose in docstrings does not count."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in NAMES | SETTINGS:
            yield node.value


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_plugin_is_named_in(path: Path) -> None:
    assert set(named(path.read_text())) - MEANT.get(str(path.relative_to(PACKAGE)), set()) == set()


@pytest.mark.parametrize("name", MEANT)
def test_every_exception_is_needed(name: str) -> None:
    assert set(named((PACKAGE / name).read_text())) == MEANT[name]


@pytest.mark.parametrize("source", ['config.table("snapshot")', 'x = "nvidia"', 'show("amdgpu.unload")'])
def test_a_plugin_that_is_named_is_found(source: str) -> None:
    assert len(list(named(source))) == 1
