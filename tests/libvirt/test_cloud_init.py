"""A guest with a real Debian: what cloud-init, sshd, chpasswd and the agent make of what vfioctl asks them for."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import cloud_guest
import pytest
import snapshot_lab
from ssh_login import comes_in

from vfioctl.wait import until

pytest.importorskip("libvirt")
for plugin in ("storage", "network", "guest"):
    pytest.importorskip(f"vfioctl_{plugin}")
pytest.importorskip("pycdlib")

pytestmark = [pytest.mark.matrix, pytest.mark.timeout(2400)]  # its disks are made of packages, and it boots for minutes
BOOT = 900.0
RESULT = "/run/cloud-init/result.json"  # written at the end of the last stage
PASSWORDS = {"first": "correct horse", "second": "battery 'staple"}


@pytest.fixture
def host(network_lab: Any, tmp_path: Path) -> Any:
    """One with the disks of the guest in a pool, a network, two keys and two passwords."""
    if why := cloud_guest.missing():
        (pytest.fail if os.environ.get("CI") else pytest.skip)(why)
    tmp_path.chmod(0o755)
    network_lab.start()
    made = snapshot_lab.SnapshotLab(network_lab, tmp_path)
    for disk in cloud_guest.make(tmp_path):
        made.must("cp", str(disk), f"{snapshot_lab.IMAGES}/{disk.name}")
    for key in ("own", "added"):
        made.must("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / key))
    for name, password in PASSWORDS.items():
        (tmp_path / name).write_text(f"{password}\n")
    made.said("pool", "create", "images", "--path", snapshot_lab.IMAGES)
    made.said("network", "create", "lab", "--subnet", "192.168.223.0/24")
    return made


class Web:
    """The guest "web"."""

    def __init__(self, host: Any) -> None:
        self.host = host
        self.address = ""

    def create(self) -> None:
        disks = ("--volume", "images/boot.qcow2", "--volume", "images/root.qcow2")
        asked = ("--user", "ada", "--ssh-key", self.file("own.pub"), "--password-file", self.file("first"))
        self.host.said(
            "guest", "create", "web", "--memory", "768M", "--cpus", "2", *disks, "--network", "lab", *asked,
            "--hostname", "web-7.lan", "--pool", "images",
        )  # fmt: skip

    def start(self, until_is: str) -> None:
        """Start it, and wait until this program ends well in it."""
        self.host.said("guest", "start", "web")
        assert until(lambda: self.program(*until_is.split())[0] == 0, BOOT), self.program("true")
        found = json.loads(self.host.said("guest", "address", "web", "--format", "json"))["data"]["addresses"]
        self.address = next(one["address"] for one in found if ":" not in one["address"])

    def program(self, *argv: str) -> tuple[int | None, str]:
        """Its exit status and what it said; None where the agent cannot be asked."""
        ended = self.host.cli("guest", "exec", "web", "--timeout", "50", "--format", "json", "--", *argv)
        data = json.loads(ended.stdout).get("data") or {}
        return data.get("status"), data.get("stdout", "")

    def file(self, name: str) -> str:
        return str(self.host.place / name)

    def takes(self, user: str = "ada", *, key: str = "", password: str = "") -> bool:
        named = {"key": self.file(key)} if key else {"password": PASSWORDS[password]}
        return comes_in(self.host, f"{user}@{self.address}", **named)


def test_cloud_init_makes_what_was_asked_for_and_it_stays_without_the_seed(host: Any) -> None:
    web = Web(host)
    web.create()
    web.start(f"test -e {RESULT}")
    assert json.loads(web.program("cat", RESULT)[1])["v1"]["errors"] == []
    assert web.program("hostname")[1] == "web-7\n"
    assert web.takes(key="own")
    assert web.takes(password="first")
    assert not web.takes(key="added")
    assert not web.takes(password="second")
    host.said("guest", "passwd", "web", "--user", "ada", "--password-file", web.file("second"))
    assert web.takes(password="second")
    assert not web.takes(password="first")
    host.said("guest", "ssh-key", "add", "web", "--user", "ada", "--key", web.file("added.pub"))
    assert web.takes(key="added")
    host.said("guest", "stop", "web")
    web.start("systemctl is-active ssh")
    assert web.program("cloud-init", "status")[1] == "status: disabled\n"
    assert "seed" not in host.lab.virsh("domblklist", "web").stdout
    assert web.program("hostname")[1] == "web-7\n"
    assert web.takes(key="own")
    assert web.takes(password="second")
    host.said("guest", "stop", "web")
