"""The command line called in this process, on a root of its own: exit status and both streams as a person sees them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from vfioctl.cli.app import main
from vfioctl.compose import Composition, compose

Run = Callable[..., "Shown"]


@dataclass(frozen=True)
class Shown:
    """What a command left: `whole` is everything in the order of a terminal's two streams."""

    status: int
    out: str
    err: str

    @property
    def whole(self) -> str:
        return f"{self.out}{self.err}exit {self.status}\n"

    @property
    def envelope(self) -> dict[str, Any]:
        found = json.loads(self.out)
        assert isinstance(found, dict)
        return found


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An empty host: no card, no libvirt, nothing of ours."""
    root = tmp_path / "host"
    for place in ("sys/bus/pci/devices", "proc", "dev", "etc/libvirt/hooks", "run", "var/lib", "usr/bin"):
        (root / place).mkdir(parents=True)
    return root


@pytest.fixture
def composition(root: Path) -> Composition:
    return compose(str(root))


@pytest.fixture
def run(composition: Composition, capfd: pytest.CaptureFixture[str]) -> Run:
    """Calls `vfioctl ARGUMENTS`; paths below the root are shown as on the host."""

    def call(*arguments: str, environ: dict[str, str] | None = None) -> Shown:
        capfd.readouterr()
        status = main(composition, arguments, environ or {})
        out, err = capfd.readouterr()
        base = composition.paths.root
        return Shown(status, out.replace(base, ""), err.replace(base, ""))

    return call


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Times in goldens are those of one place."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()
