"""`pytest --part N/M`: every test is in one part, and a part that cannot be is an error."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILE = "tests/test_frozen.py"


def collected(*options: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--collect-only", *options, FILE]
    return subprocess.run(argv, capture_output=True, text=True, check=False, cwd=ROOT)


def names(*options: str) -> set[str]:
    return {line for line in collected(*options).stdout.splitlines() if line.startswith(FILE)}


def test_every_test_is_in_exactly_one_part() -> None:
    parts = [names(f"--part={number}/3") for number in (1, 2, 3)]
    assert set().union(*parts) == names()
    assert sum(map(len, parts)) == len(names()) > len(parts[0])


@pytest.mark.parametrize("part", ["4/3", "0/3", "3", "a/b"])
def test_a_part_that_cannot_be_is_an_error(part: str) -> None:
    done = collected(f"--part={part}")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert f"A part is N/M, as 1/4, not {part}." in done.stderr
