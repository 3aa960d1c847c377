"""What every step kind must state about itself."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import pytest

from vfioctl import kinds
from vfioctl.errors import VfioctlError
from vfioctl.kinds import MODULES
from vfioctl.txn.kind import kind
from vfioctl.txn.step import Lifetime, Scope, Undo

COPIES = {"file.copy", "file.write", "file.fetch", "disk.snapshot", "disk.snapshot_delete", "file.delete",
          "file.set_aside", "generated.refresh",
          "disk.overlay", "disk.merge", "disk.rebase", "disk.snapshot_apply", "disk.live", "disk.pull", "disk.commit",
          "domain.define", "domain.undefine", "domain.autostart",
          "domain.start", "domain.stop", "domain.reboot", "domain.suspend", "domain.resume", "domain.save",
          "domain.restore", "domain.discard_saved", "domain.rename", "domain.tune", "device.attach", "device.detach",
          "device.media",
          "snapshot.record", "snapshot.forget", "snapshot.follow", "network.define", "network.start", "network.stop",
          "network.autostart", "network.update", "network.delete", "network.refresh",
          "pool.define", "pool.start", "pool.stop", "pool.autostart", "pool.delete", "volume.create", "volume.clone",
          "volume.compact", "volume.resize", "volume.delete", "volume.upload", "volume.download", "volume.fetch",
          "template.record", "directory.copy"}  # fmt: skip
DISK = {*COPIES, "container.stop"}
NONE = {
    "module.load", "session.end", "process.stop", "framebuffer.unbind", "device.reset", "pci.rescan",
    "disk.snapshot_delete", "unit.restart", "file.delete", "domain.stop",
    "domain.reboot", "domain.resume", "domain.save", "domain.restore", "domain.discard_saved", "volume.resize",
    "volume.delete", "disk.commit", "snapshot.follow",
}  # fmt: skip
RECREATED = {"unit.stop", "command.run", "container.stop", "foreign.run", "generated.refresh", "disk.rebase",
             "disk.pull", "device.detach", "network.stop", "volume.compact"}  # fmt: skip


@pytest.mark.parametrize("name", MODULES)
def test_a_kind_states_what_it_does_and_how_far_it_can_be_undone(name):
    form = kind(name)
    assert form.name == name
    assert form.summary.endswith(".")
    assert inspect.getdoc(type(form)).startswith("{"), "the class says its parameters"
    assert form.undo_class is (Undo.NONE if name in NONE else Undo.RECREATED if name in RECREATED else Undo.EXACT)
    assert form.scope is (Scope.TRANSACTION if name in COPIES else Scope.LEASE)
    assert form.lifetime is (Lifetime.DISK if name in DISK else Lifetime.BOOT)


def test_an_unknown_kind_names_the_known_ones():
    with pytest.raises(VfioctlError, match=r"no step kind 'driver\.eject'.*driver\.bind"):
        kind("driver.eject")


ROOM = Path(kinds.__file__).parent
SHARED = {
    "common", "stuck", "conditions", "files/addresses", "files/aside", "files/beside", "files/download", "files/former",
    "files/kept", "files/marks", "files/mounted", "files/part", "files/partial", "files/place", "files/sparse",
    "files/web",
    "disks/backing", "disks/compact", "disks/images", "disks/locks", "disks/made", "disks/qemu", "disks/users",
    "systemd/units", "systemd/unit_kill", "kernel/own_modules", "pci/unseen",
    "libvirt/agent", "libvirt/change", "libvirt/devices", "libvirt/documents", "libvirt/domains", "libvirt/drives",
    "libvirt/filling", "libvirt/marks", "libvirt/networks", "libvirt/pools", "libvirt/transfer", "libvirt/volume_alone",
    "libvirt/volume_needs", "libvirt/volume_xml", "libvirt/volumes",
}  # fmt: skip


def test_no_step_file_is_without_a_kind_or_a_user():
    files = {path.relative_to(ROOM).with_suffix("") for path in ROOM.rglob("*.py") if path.name != "__init__.py"}
    assert {str(path) for path in files} == {*MODULES.values(), *SHARED}


@pytest.mark.parametrize("path", sorted(ROOM.rglob("*.py")), ids=lambda path: path.stem)
def test_no_step_sleeps_by_itself_or_runs_a_program_by_itself(path: Path):
    nodes = (node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Import))
    imported = {alias.name for node in nodes for alias in node.names}
    assert not imported & {"subprocess", "shutil", "asyncio", "logging", "pathlib"}
    dated = ("common.py", "volumes.py", "pools.py", "kept.py")  # they know how old something is
    assert "time" not in imported or path.name in dated
