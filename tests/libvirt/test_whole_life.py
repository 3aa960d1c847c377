"""The whole life of a guest that lives, by the commands that docs/how-to/guests.md prints, on a real libvirtd."""

from __future__ import annotations

import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any

import linux_guest
import pytest
import snapshot_lab
from serial_line import SerialLine
from ssh_login import comes_in

pytest.importorskip("libvirt")
for plugin in ("storage", "network", "guest", "snapshot"):
    pytest.importorskip(f"vfioctl_{plugin}")

PAGE = Path(__file__).parents[2] / "docs/how-to/guests.md"
POOL = f"{snapshot_lab.IMAGES}/life"
PLACES = (snapshot_lab.IMAGES, "/var/lib/libvirt/qemu", "/var/lib/vfioctl")
HISTORY = "/var/lib/vfioctl/history"
PASSWORD = "correct horse"
MIB = 1 << 20


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The disk of a guest with a real Linux."""
    if why := linux_guest.missing():
        (pytest.fail if os.environ.get("CI") else pytest.skip)(why)
    return linux_guest.make(tmp_path_factory.mktemp("guest"))


@pytest.fixture
def page(network_lab: Any, image: Path, tmp_path: Path) -> Page:
    tmp_path.chmod(0o755)
    network_lab.start()
    host = snapshot_lab.SnapshotLab(network_lab, tmp_path)
    for name in ("id", "foreign"):
        host.must("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / name))
    (tmp_path / "password").write_text(PASSWORD)
    return Page(host, {
        "/srv/images": POOL, "./debian-12.qcow2": str(image), "2G": "128M",
        "./id.pub": str(tmp_path / "id.pub"), "./password": str(tmp_path / "password"),
        "SUM": hashlib.sha256(image.read_bytes()).hexdigest(),
    })  # fmt: skip


class Page:
    """The commands of the section, which are typed in its order; `stands_for` is what here is called otherwise."""

    def __init__(self, host: Any, stands_for: dict[str, str]) -> None:
        self.host, self.stands_for = host, stands_for
        section = PAGE.read_text().partition("\n## All of it once\n")[2].partition("\n## ")[0]
        self.left = re.findall(r"^vfioctl (.*)$", section, re.MULTILINE)

    def type(self, start: str) -> str:
        """Type the next command, which begins so; what it says."""
        line = self.left.pop(0)
        assert line.startswith(start), f"the page types {line}"
        return self.cli(*(self.stands_for.get(word, word) for word in line.split()))

    def cli(self, *argv: str, status: int = 0) -> str:
        return str(self.host.said(*argv, status=status))

    def data(self, *argv: str) -> Any:
        return json.loads(self.cli(*argv, "--format", "json"))["data"]

    def state(self) -> list[str]:
        """All that libvirt lists, the links, and all files but the history of what was done."""
        lists = [self.host.lab.virsh(of, "--all", "--name").stdout for of in ("list", "net-list", "pool-list")]
        places = (*PLACES, str(self.host.lab.etc))
        files = self.host.must("find", *places, "(", "-not", "-type", "d", "-o", "-path", f"{POOL}*", ")")
        kept = [path for path in files.splitlines() if not path.startswith(HISTORY)]
        links = self.host.must("ip", "-o", "link").splitlines()
        return [*lists, *sorted(kept), *(line.split(":")[1] for line in links)]

    def logs_in(self, address: str) -> None:
        """The user comes in with the key or the password that the guest was made with, and with no others."""
        who, place = f"ada@{address}", self.host.place
        assert comes_in(self.host, who, key=str(place / "id"))
        assert not comes_in(self.host, who, key=str(place / "foreign"))
        assert comes_in(self.host, who, password=PASSWORD)
        assert not comes_in(self.host, who, password="another")

    def content(self, path: str) -> str:
        """The checksum of what a guest sees of a disk."""
        raw = self.host.place / "seen.raw"
        self.host.must("qemu-img", "convert", "-f", "qcow2", "-O", "raw", path, str(raw))
        return hashlib.sha256(raw.read_bytes()).hexdigest()

    def disk(self) -> str:
        """What the guest would boot from next, by its checksum."""
        listed = self.host.lab.virsh("domblklist", "web", "--inactive").stdout
        path = re.search(r"^ *vda +(\S+)", listed, re.MULTILINE)
        assert path is not None
        return self.content(path[1])


@pytest.mark.timeout(600)
def test_all_that_the_page_types_makes_a_guest_that_lives_and_leaves_nothing(page: Page) -> None:
    before = page.state()
    page.type("pool create images")
    page.type("template add debian")
    page.type("network create lab")
    page.type("guest create web")
    page.type("guest start web")
    with SerialLine(page.host.lab, "web") as line:
        line.wait("seed")
        its_own = line.wait("address")
        assert line.wait("ready") == "web"
        page.logs_in(its_own)
        assert its_own in page.type("guest address web --wait")
        assert its_own in page.type("network leases lab")
        page.type("volume create images data.qcow2")
        page.type("guest attach web")
        assert line.ask("cat /sys/block/vdc/size") == str(32 * MIB // 512)
        page.type("volume resize images data.qcow2")
        assert line.ask("cat /sys/block/vdc/size") == str(48 * MIB // 512)
        page.type("guest stop web")
    good = page.disk()
    page.type("snapshot create web")
    page.type("guest start web")
    with SerialLine(page.host.lab, "web") as line:
        line.wait("ready")
        line.ask("echo spoilt | dd of=/dev/vda bs=1M seek=60 conv=fsync 2>/dev/null; echo written")
        page.type("guest stop web")
    assert page.disk() != good
    page.type("snapshot revert web")
    assert page.disk() == good
    page.type("template add web-good")
    page.type("guest create web2")
    with SerialLine(page.host.lab, "web2") as line:
        assert line.wait("address") != its_own
        line.wait("ready")
        for kept in (("template", "delete", "web-good"), ("network", "delete", "lab"), ("pool", "delete", "images")):
            page.cli(*kept, "--yes", status=3)
        page.type("guest stop web2")
    while page.left:
        page.type("")
    assert page.state() == before
