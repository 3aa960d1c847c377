"""That nobody writes to an image while libvirt reads it: against the real programs of QEMU."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from vfioctl.errors import StepFailed, StepRefused
from vfioctl.kinds.libvirt.volume_needs import unwritten

pytestmark = pytest.mark.skipif(not shutil.which("qemu-io"), reason="qemu-io is not installed")
HERE = {"uri": "qemu:///system"}


@pytest.fixture
def image(tmp_path: Path) -> str:
    path = str(tmp_path / "disk.qcow2")
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", path, "1M"], check=True)
    return path


def writes(path: str) -> bool:
    """Whether QEMU can write to it."""
    argv = ["qemu-io", "-f", "qcow2", "-c", "write 0 64k", path]
    return subprocess.run(argv, capture_output=True, check=False).returncode == 0


def test_qemu_cannot_write_to_it_meanwhile_and_can_afterwards(image: str) -> None:
    with unwritten(HERE, image):
        assert not writes(image)
    assert writes(image)


def test_what_was_written_by_somebody_else_is_found(image: str) -> None:
    with pytest.raises(StepFailed, match="was written to while it was copied"), unwritten(HERE, image):
        Path(image).write_bytes(b"other")


def test_one_that_is_written_to_already_is_refused(image: str) -> None:
    argv = ["qemu-io", "-f", "qcow2", image]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdin is not None
        assert writer.stdout is not None
        writer.stdin.write("write 0 64k\n")
        writer.stdin.flush()
        while "wrote" not in writer.stdout.readline():
            pass
        with pytest.raises(StepRefused, match="may write to it"), unwritten(HERE, image):
            pass
        writer.stdin.close()


@pytest.mark.parametrize("params", [HERE, {"uri": "qemu+tls://there/system"}])
def test_what_is_not_here_to_be_seen_is_left_to_its_host(tmp_path: Path, params: dict[str, str]) -> None:
    path = tmp_path / "gone"
    with unwritten(params, str(path)):
        path.write_bytes(b"made meanwhile")
    assert path.exists()
