"""`pytest --part N/M` and `--shard`: every test is in one part, and every family has its turn."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import turns

ROOT = Path(__file__).parents[2]
FILE = "tests/test_frozen.py"
EACH_TIME, IN_TURN = "tests/libvirt/test_virt.py", "tests/libvirt/test_nodes.py"
LONG, SHORT = "tests/security/test_who_is_qemu.py", "tests/security/test_numbers.py"
SEEDS = "abg"  # which draw the three turns


def collected(*options: str, file: str = FILE) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--collect-only", *options, file]
    return subprocess.run(argv, capture_output=True, text=True, check=False, cwd=ROOT)


def names(*options: str, file: str = FILE) -> set[str]:
    return {line for line in collected(*options, file=file).stdout.splitlines() if line.startswith(file)}


def test_every_test_is_in_exactly_one_part() -> None:
    parts = [names(f"--part={number}/3") for number in (1, 2, 3)]
    assert set().union(*parts) == names()
    assert sum(map(len, parts)) == len(names()) > len(parts[0])


@pytest.mark.parametrize("part", ["4/3", "0/3", "3", "a/b"])
def test_a_part_that_cannot_be_is_an_error(part: str) -> None:
    done = collected(f"--part={part}")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert f"A part is N/M, as 1/4, not {part}." in done.stderr


@pytest.mark.parametrize(("file", "shards"), [(EACH_TIME, 3), (IN_TURN, 1), (SHORT, 3), (LONG, 1)])
def test_a_family_is_in_one_of_three_shards_unless_it_runs_each_time(file: str, shards: int) -> None:
    assert [bool(names(f"--shard={seed}", file=file)) for seed in SEEDS].count(True) == shards


@pytest.mark.parametrize(("modules", "place"), [(turns.EACH_TIME, "libvirt"), (turns.IN_TURN, "security")])
def test_what_runs_each_time_or_takes_turns_is_there(modules: tuple[str, ...], place: str) -> None:
    assert [name for name in modules if not (ROOT / f"tests/{place}/test_{name}.py").exists()] == []
