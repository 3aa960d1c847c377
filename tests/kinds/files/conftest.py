"""A server on the loopback, a machine to download to, and an image with holes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import holed_image
import pytest
from downloads import Served, serving

from vfioctl.kinds.files import web
from vfioctl.txn.machine import Machine


@pytest.fixture
def server() -> Iterator[Served]:
    with serving() as served:
        yield served


@pytest.fixture
def machine(plain: Machine) -> Machine:
    os.chmod(plain.paths.at("var/lib"), 0o755)
    return plain


@pytest.fixture
def image(tmp_path: Path) -> Iterator[int]:
    """A descriptor of one with holes, at its begin."""
    holed_image.write(tmp_path / "image")
    with (tmp_path / "image").open("r+b") as made:
        yield made.fileno()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is waited for longer than a moment."""
    monkeypatch.setattr(web, "STALL", 0.3)
