"""What every step kind must state about itself."""

from __future__ import annotations

import ast
import inspect
import os

import pytest

from vfioctl.errors import VfioctlError
from vfioctl.txn import steps
from vfioctl.txn.kind import MODULES, kind
from vfioctl.txn.step import Lifetime, Scope, Undo

COPIES = {"file.copy", "disk.snapshot", "disk.snapshot_delete"}
DISK = {*COPIES, "container.stop"}
NONE = {
    "module.load", "session.end", "process.stop", "framebuffer.unbind", "device.reset", "pci.rescan",
    "disk.snapshot_delete", "unit.restart",
}  # fmt: skip
RECREATED = {"unit.stop", "command.run", "container.stop"}


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


def test_no_step_file_is_without_a_kind_or_a_user():
    found = {name.removesuffix(".py") for name in os.listdir(os.path.dirname(steps.__file__)) if name.endswith(".py")}
    assert found == {*MODULES.values(), "__init__", "common", "units", "images", "own_modules"}


def test_no_step_sleeps_by_itself_or_runs_a_program_by_itself():
    directory = os.path.dirname(steps.__file__)
    for name in sorted(os.listdir(directory)):
        if name.endswith(".py"):
            with open(os.path.join(directory, name), encoding="utf-8") as file:
                imported = {
                    alias.name for node in ast.walk(ast.parse(file.read())) if isinstance(node, ast.Import)
                    for alias in node.names
                }  # fmt: skip
            assert not imported & {"subprocess", "shutil", "asyncio", "logging", "pathlib"}, name
            assert "time" not in imported or name == "common.py"
