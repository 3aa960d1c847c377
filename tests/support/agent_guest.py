"""The guest "web" of a private libvirtd, a real Linux with QEMU's agent, a network and an ext4 on its second disk."""

from __future__ import annotations

import json
import os
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import linux_guest
import pytest
import snapshot_lab
from serial_line import SerialLine

from vfioctl.wait import until

POOL = snapshot_lab.IMAGES
DATA = f"{POOL}/data.qcow2"
SUBNET = "192.168.222"
STATUS = '{"execute": "guest-fsfreeze-status"}'


def prepared(lab: Any, place: Path) -> Any:
    """A host with that guest, which is off; its private libvirtd is started."""
    if why := linux_guest.missing(agent=True):
        (pytest.fail if os.environ.get("CI") else pytest.skip)(why)
    place.chmod(0o755)
    lab.start()
    made = snapshot_lab.SnapshotLab(lab, place)
    image, data = linux_guest.make(place, agent=True), place / "data.raw"
    made.must("cp", str(image), f"{POOL}/web.qcow2")
    made.must("truncate", "-s", "16M", str(data))
    made.must("mkfs.ext4", "-q", str(data))
    made.must("qemu-img", "convert", "-f", "raw", "-O", "qcow2", str(data), DATA)
    disks = ("--volume", "images/web.qcow2", "--volume", "images/data.qcow2")
    for asked in (
        ("pool", "create", "images", "--path", POOL),
        ("network", "create", "lab", "--subnet", f"{SUBNET}.0/24"),
        ("guest", "create", "web", "--memory", "128M", *disks, "--network", "lab"),
    ):
        made.said(*asked)
    return made


class Web:
    """The guest, which runs with its second disk on /data: from one test to the next, where no test stops it."""

    def __init__(self, host: Any) -> None:
        self.host = host
        self.open = ExitStack()
        self.is_heard = False  # on its serial line; somebody else may have started it

    def start(self) -> None:
        if self.is_heard and self.host.lab.virsh("domstate", "web").stdout.strip() == "running":
            return
        self.close()
        self.host.lab.virsh("start", "--paused", "web")  # QEMU drops what it says before somebody listens
        self.line = self.open.enter_context(SerialLine(self.host.lab, "web"))
        self.host.lab.virsh("resume", "web")
        self.is_heard = True
        self.line.wait("ready")
        assert self.line.ask("mkdir /data; mount -t ext4 /dev/vdb /data && echo mounted") == "mounted"
        assert until(lambda: self.standstill() == "thawed", snapshot_lab.DEADLINE), "its agent does not answer"

    def close(self) -> None:
        self.open.close()
        self.is_heard = False
        self.host.lab.virsh("destroy", "web", check=False)

    def standstill(self) -> str:
        """What its agent says of its file systems: "frozen" or "thawed"; "" where it does not answer."""
        ended = self.host.lab.virsh("qemu-agent-command", "web", STATUS, check=False)
        return str(json.loads(ended.stdout)["return"]) if ended.returncode == 0 else ""

    def stood_still(self) -> None:
        """Its agent has let its file systems stand still and go on, and they do."""
        self.line.wait("freeze")
        self.line.wait("thaw")
        assert self.standstill() == "thawed"
        assert self.line.ask("echo still >/data/writes && sync && cat /data/writes") == "still"

    def files(self, *, of: str) -> str:
        """What the directory of its second disk lists where that is the image `of`."""
        return self._raw(of, "debugfs", "-R", "ls -p /")

    def content(self, name: str, *, of: str) -> str:
        return self._raw(of, "debugfs", "-R", f"cat /{name}")

    def is_clean(self, *, of: str) -> bool:
        """Whether its file system was written out, so that no journal has to be replayed."""
        return "needs_recovery" not in self._raw(of, "dumpe2fs", "-h")

    def _raw(self, of: str, *argv: str) -> str:
        raw = str(self.host.place / "seen.raw")
        self.host.must("qemu-img", "convert", "-f", "qcow2", "-O", "raw", of, raw)
        return str(self.host.must(*argv, raw))
