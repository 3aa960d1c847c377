"""Loaded modules, their users and parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from vfioctl.errors import VfioctlError

if TYPE_CHECKING:
    from host_tree import Tree


def test_a_module_says_its_users_version_and_parameters(tree: Tree) -> None:
    tree.module("nvidia", "7", holders=("nvidia_modeset", "nvidia_uvm"))
    tree.write("sys/module/nvidia/version", "550.54.14\n")
    tree.write("sys/module/nvidia/parameters/modeset", "Y\n")
    module = tree.host().module("nvidia")
    assert module is not None
    assert (module.refcount, module.holders, module.outside_users) == (7, ("nvidia_modeset", "nvidia_uvm"), 5)
    assert module.version == "550.54.14"
    assert tree.host().module_parameters("nvidia") == {"modeset": "Y"}


def test_a_module_is_found_by_its_name_with_dashes(tree: Tree) -> None:
    tree.module("nvidia_drm")
    module = tree.host().module("nvidia-drm")
    assert module is not None
    assert module.name == "nvidia_drm"


def test_a_built_in_module_is_not_a_loaded_one(tree: Tree) -> None:
    tree.write("sys/module/vfio_pci/parameters/disable_idle_d3", "N\n")
    host = tree.host()
    assert host.module("vfio_pci") is None
    assert host.module("absent") is None
    assert host.modules() == ()


@pytest.mark.parametrize("said", ["", "-", "few"])
def test_a_malformed_use_count_is_an_error_and_never_zero(tree: Tree, said: str) -> None:
    tree.module("nvidia", said)
    with pytest.raises(VfioctlError, match="nvidia") as caught:
        tree.host().module("nvidia")
    assert caught.value.code == "module.malformed"


def test_a_parameter_that_cannot_be_read_is_left_out(tree: Tree) -> None:
    tree.module("nvidia")
    (tree.root / "sys/module/nvidia/parameters/secret").mkdir(parents=True)
    tree.write("sys/module/nvidia/parameters/open", "1\n")
    assert tree.host().module_parameters("nvidia") == {"open": "1"}


def test_a_parameter_that_is_no_setting_but_a_long_table_is_left_out(tree: Tree) -> None:
    tree.write("sys/module/nvidia/parameters/open", "1" * 256)
    tree.write("sys/module/nvidia/parameters/table", "1" * 257)
    assert tree.host().module_parameters("nvidia") == {"open": "1" * 256}


def test_a_module_that_is_not_loaded_has_no_parameters(tree: Tree) -> None:
    assert tree.host().module_parameters("nvidia") == {}


def test_all_modules_are_listed_by_name(tree: Tree) -> None:
    tree.module("snd")
    tree.module("nvidia")
    assert [module.name for module in tree.host().modules()] == ["nvidia", "snd"]
