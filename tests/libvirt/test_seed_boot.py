"""A guest with a real Linux reads its seed, and is known by it after the seed has gone, on a real libvirtd."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import linux_guest
import pytest
import snapshot_lab
from serial_line import SerialLine

pytest.importorskip("libvirt")
pytest.importorskip("vfioctl_guest")
pytest.importorskip("pycdlib")

HASH = "$6$rounds=4096$saltsalt$" + "Zx3" * 28 + "aa"
DISK = f"{snapshot_lab.IMAGES}/linux.qcow2"


@pytest.fixture
def host(network_lab: Any, tmp_path: Path) -> Any:
    """One with the disk of such a guest in its pool."""
    if why := linux_guest.missing():
        (pytest.fail if os.environ.get("CI") else pytest.skip)(why)
    tmp_path.chmod(0o755)
    network_lab.start()
    made = snapshot_lab.SnapshotLab(network_lab, tmp_path)
    shutil.move(linux_guest.make(tmp_path), tmp_path / "linux.qcow2")
    made.must("cp", str(tmp_path / "linux.qcow2"), DISK)
    made.must("sh", "-c", f"printf '%s\\n' '{HASH}' > /etc/hash")
    made.lab.virsh("pool-define-as", "default", "dir", "--target", snapshot_lab.IMAGES)
    made.lab.virsh("pool-start", "default")
    return made


def done(host: Any, *argv: str) -> None:
    ended = host.cli("guest", *argv)
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.timeout(300)
def test_it_boots_with_name_and_user_and_the_next_start_has_no_seed(host: Any) -> None:
    asked = ("--user", "ada", "--password-hash-file", "/etc/hash", "--hostname", "web-7.lan")
    done(host, "create", "web", "--memory", "128M", "--volume", "default/linux.qcow2", *asked, "--start")
    uuid = host.lab.virsh("domuuid", "web").stdout.strip()
    with SerialLine(host.lab, "web") as line:
        assert line.wait("seed") == uuid
        assert line.wait("ready") == "web-7"
        assert line.ask("grep ada: /etc/shadow") == f"ada:{HASH}:19000:0:99999:7:::"
        done(host, "stop", "web")
    done(host, "start", "web")
    with SerialLine(host.lab, "web") as line:
        line.wait("ready")
        assert line.ask("cd /sys/block; printf '%s ' vd*") == "vda"
