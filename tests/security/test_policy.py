"""SECURITY.md claims only what a test holds."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_test_that_the_policy_names_exists():
    named = set(re.findall(r"`(test_\w+)`", (ROOT / "SECURITY.md").read_text()))
    there = {name for file in (ROOT / "tests").rglob("test_*.py")
             for name in re.findall(r"^def (test_\w+)", file.read_text(), re.MULTILINE)}  # fmt: skip
    assert named
    assert named - there == set()


def test_vfioctl_listens_nowhere():
    """The kit does, for the machine that it simulates."""
    files = (file for file in (ROOT / "vfioctl").rglob("*.py") if "testing" not in file.parts)
    listening = re.compile(r"\.(?:bind|listen|accept)\(|import (?:dbus|socketserver|http)")
    assert [str(file) for file in files if listening.search(file.read_text())] == []
