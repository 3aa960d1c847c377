"""contrib/demo.sh on a machine that lacks something: it installs nothing unasked, and says why it cannot go on."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

DEMO = Path(__file__).parents[2] / "contrib" / "demo.sh"
TOOLS = ("sh", "dirname", "id", "mkdir", "tail", "cat", "date", "sed", "python3", "grep", "sleep", "flock", "git")
LINE = "apt-get install -y --no-install-recommends fuse3"
WITH_VENV = LINE.replace("fuse3", "python3-venv fuse3")


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A PATH without fusermount3, on which apt-get only notes how it was called."""
    directory = tmp_path / "bin"
    directory.mkdir()
    for tool in TOOLS:
        (directory / tool).symlink_to(shutil.which(tool) or f"/usr/bin/{tool}")
    for name, body in (("apt-get", f'echo "$*" >>"{tmp_path}/apt"'), ("dpkg-query", "exit 1")):
        (directory / name).write_text(f"#!/bin/sh\n{body}\n")
        (directory / name).chmod(0o755)
    return directory


def demo(bare: Path, *argv: str, **more: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": str(bare), "HOME": str(bare.parent), "VFIOCTL_CACHE": str(bare.parent / "cache"), **more}
    return subprocess.run(
        [str(bare / "sh"), str(DEMO), *argv], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        env=environment, timeout=60,
    )  # fmt: skip


def test_a_missing_package_is_named_and_not_installed_unasked(bare: Path) -> None:
    ended = demo(bare)
    assert ended.returncode == 1
    assert ended.stdout == f"Missing packages; as root: {LINE}\n"
    assert not (bare.parent / "apt").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="apt is only for root")
def test_under_ci_it_is_installed(bare: Path) -> None:
    demo(bare, CI="true", PYTHON="/bin/false")
    calls = (bare.parent / "apt").read_text().split("\n")
    assert calls[:2] == ["update", f"-o DPkg::Lock::Timeout=300 {WITH_VENV.removeprefix('apt-get ')}"]


LOCKED = """#!/bin/sh
echo "$*" >>'{calls}'
[ "$(wc -l <'{calls}')" -gt 1 ] && exit 0
case $LC_ALL in
    C) echo 'E: Could not get lock /var/lib/apt/lists/lock. It is held by process 4711 (apt-get)' ;;
    *) echo 'E: Sperre /var/lib/apt/lists/lock konnte nicht erlangt werden. Diese wird durch Prozess 4711 gehalten.' ;;
esac
exit 100
"""  # apt speaks the language of the user


@pytest.mark.skipif(os.geteuid() != 0, reason="apt is only for root")
def test_the_lock_of_apts_lists_is_waited_for_in_every_language(bare: Path) -> None:
    calls = bare.parent / "apt"
    (bare / "wc").symlink_to(shutil.which("wc") or "/usr/bin/wc")
    (bare / "apt-get").write_text(LOCKED.format(calls=calls))
    demo(bare, CI="true", PYTHON="/bin/false", LC_ALL="de_DE.UTF-8")
    assert calls.read_text().split("\n")[:2] == ["update", "update"]


def test_help_shows_how_it_is_called(bare: Path) -> None:
    ended = demo(bare, "--help")
    assert ended.returncode == 0
    assert "contrib/demo.sh --shell" in ended.stdout


def unshare() -> bool:
    return os.geteuid() == 0 and subprocess.run(["unshare", "-n", "true"], check=False).returncode == 0


@pytest.mark.skipif(not unshare(), reason="a network namespace needs root")
def test_offline_it_says_so(tmp_path: Path) -> None:
    if not shutil.which("fusermount3"):
        pytest.skip("fuse3 is not installed")
    environment = {**os.environ, "VFIOCTL_CACHE": str(tmp_path), "PIP_RETRIES": "1", "CI": ""}
    ended = subprocess.run(
        ["unshare", "-n", "sh", str(DEMO)], capture_output=True, text=True, check=False, env=environment, timeout=100
    )
    assert ended.returncode == 1
    assert "The package index cannot be reached. Is this computer online?" in ended.stderr
