"""What a guest that vfioctl does not manage pays: the shim against a hook that does nothing, in one run."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import pytest

from vfioctl.compose import compose
from vfioctl.setup.shim import rendered

ROUNDS = 15
CALLS = 40
LIMIT = 1.5
TRIES = 3  # another process may take a whole round's time


@pytest.fixture
def scripts(tmp_path: Path) -> tuple[Path, Path]:
    """A hook that does nothing, and the shim of an installation with a hundred managed guests."""
    (tmp_path / "etc/vfioctl/guests").mkdir(parents=True)
    for number in range(100):
        (tmp_path / f"etc/vfioctl/guests/guest{number}.toml").touch()
    nothing, shim = tmp_path / "nothing", tmp_path / "shim"
    nothing.write_text("#!/bin/sh\nexit 0\n")
    shim.write_text(rendered(compose(str(tmp_path))))
    for script in (nothing, shim):
        script.chmod(0o755)
    return nothing, shim


def seconds(script: Path, operation: str) -> float:
    """The time of one call, over so many."""
    begun = time.perf_counter()
    for _ in range(CALLS):
        os.waitpid(os.posix_spawn(script, [str(script), "other", operation, "begin", "-"], {"LC_ALL": "C"}), 0)
    return (time.perf_counter() - begun) / CALLS


def ratio(nothing: Path, shim: Path, operation: str) -> float:
    """The cost of the shim in units of the hook that does nothing; the two take turns, so that noise meets both."""
    pairs = [(seconds(nothing, operation), seconds(shim, operation)) for _ in range(ROUNDS)]
    return median(cost / base for base, cost in pairs)


@pytest.mark.parametrize("operation", ["prepare", "release"])
def test_the_shim_costs_an_unmanaged_guest_at_most_half_more_than_a_hook_that_does_nothing(
    scripts: tuple[Path, Path], operation: str, record_property: Callable[[str, str], None]
) -> None:
    nothing, shim = scripts
    assert subprocess.run([shim, "other", operation, "begin", "-"], check=False).returncode == 0
    found = next((found for _ in range(TRIES) if (found := ratio(nothing, shim, operation)) <= LIMIT), LIMIT + 1)
    record_property(f"shim_{operation}", f"{found:.2f}")
    assert found <= LIMIT
