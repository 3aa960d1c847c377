"""The set of wheels that contrib/wheels.sh makes of this checkout, once for all tests of a module."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DEADLINE = 600.0


def wheels(place: Path) -> Path:
    """A set of wheels in the directory `place`; skips where what they need cannot be had."""
    ended = script("contrib/wheels.sh", str(place))
    if ended.returncode:
        pytest.skip(f"there are no wheels: {ended.stdout}")
    return place


def script(*argv: str) -> subprocess.CompletedProcess[str]:
    """A script of the checkout, run; standard output has both streams."""
    environ = {**os.environ, "PYTHON": getattr(sys, "_base_executable", sys.executable)}
    return subprocess.run(
        [str(ROOT / argv[0]), *argv[1:]], check=False, text=True, env=environ, timeout=DEADLINE,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
