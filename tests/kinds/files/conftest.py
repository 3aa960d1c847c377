"""A server on the loopback, and a machine to download to."""

from __future__ import annotations

import os
from collections.abc import Iterator

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
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is waited for longer than a moment."""
    monkeypatch.setattr(web, "STALL", 0.3)
