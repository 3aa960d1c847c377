"""--help costs little more than what click and pluggy cost alone."""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
from pathlib import Path

HELLO = """
import click, pluggy
@click.group()
def cli(): "hello"
@cli.command()
def world(): "say"
cli(["--help"])
"""
OURS = "import sys; sys.argv = ['vfioctl', '--help']; from vfioctl.entry import main; main()"
MOST = 1.3
ROUNDS = 15


def processor_time(code: str) -> float:
    """Seconds of processor time of one start; other processes on the machine do not count."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-I", "-c", code], stdout=subprocess.DEVNULL, cwd=Path("/"), check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime)


def test_help_is_at_most_1_3_times_a_hello_world_of_click_and_pluggy() -> None:
    rounds = [(processor_time(HELLO), processor_time(OURS)) for _ in range(ROUNDS)]
    hello, ours = (statistics.median(column) for column in zip(*rounds, strict=True))
    assert ours / hello <= MOST, f"{ours / hello:.2f}: {ours * 1000:.1f} ms after {hello * 1000:.1f} ms"
