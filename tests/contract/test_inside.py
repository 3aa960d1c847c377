"""contrib/inside.sh: a command runs in a tree with directories of this computer, and leaves no mount behind."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "contrib/inside.sh"
BUSYBOX = shutil.which("busybox", path="/usr/bin:/bin")
Inside = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def inside(tmp_path: Path) -> Inside:
    """Runs a command of busybox in a tree that has nothing else."""
    if os.geteuid() != 0 or not BUSYBOX:
        pytest.skip("needs root and busybox-static")
    tree, shared = tmp_path / "tree", tmp_path / "shared"
    for place in ("bin", "proc", "run", "tmp"):
        (tree / place).mkdir(parents=True)
    shutil.copy(BUSYBOX, tree / "bin/busybox")
    (tree / "bin/umount").symlink_to("busybox")
    shared.mkdir()
    (shared / "file").write_text("of this computer\n")

    def run(*argv: str) -> subprocess.CompletedProcess[str]:
        words = [str(SCRIPT), str(tree), str(shared), "--", "/bin/busybox", *argv]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert str(tmp_path) not in Path("/proc/self/mountinfo").read_text()
        return done

    return run


def test_the_tree_is_its_root_and_the_directory_is_there_under_its_name(inside: Inside, tmp_path: Path) -> None:
    done = inside("cat", f"{tmp_path}/shared/file")
    assert done.stdout == "of this computer\n", done.stderr
    assert "usr" not in inside("ls", "/").stdout.split()


def test_the_status_is_that_of_the_command(inside: Inside) -> None:
    assert inside("sh", "-c", "exit 7").returncode == 7


def test_it_may_make_namespaces_and_mount(inside: Inside) -> None:
    done = inside("unshare", "-m", "/bin/busybox", "mount", "-t", "tmpfs", "none", "/tmp")
    assert done.returncode == 0, done.stderr


def test_what_it_changes_in_the_directory_stays(inside: Inside, tmp_path: Path) -> None:
    inside("touch", f"{tmp_path}/shared/made")
    assert (tmp_path / "shared/made").exists()
