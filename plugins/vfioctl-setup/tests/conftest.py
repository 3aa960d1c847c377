"""Hosts of each family of distributions, and the verb called on them as a person calls it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from boot_trees import BootTree

from vfioctl.cli.app import main
from vfioctl.compose import compose


@dataclass(frozen=True)
class Shown:
    """What a command left."""

    status: int
    out: str
    err: str

    @property
    def data(self) -> dict[str, Any]:
        found = json.loads(self.out)["data"]
        assert isinstance(found, dict)
        return found


Setup = Callable[..., Shown]


@pytest.fixture
def tree(tmp_path: Path) -> BootTree:
    return BootTree(tmp_path / "host")


@pytest.fixture
def vfioctl(tree: BootTree, capfd: pytest.CaptureFixture[str]) -> Setup:
    """Calls `vfioctl ARGUMENTS` on the tree."""

    def call(*arguments: str) -> Shown:
        capfd.readouterr()
        status = main(compose(str(tree.root)), arguments, {})
        out, err = capfd.readouterr()
        return Shown(status, out, err)

    return call


@pytest.fixture
def setup(vfioctl: Setup) -> Setup:
    """Calls `vfioctl setup ARGUMENTS` on the tree."""
    return lambda *arguments: vfioctl("setup", *arguments)
