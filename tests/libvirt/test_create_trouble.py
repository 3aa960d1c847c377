"""What creates a pool, volume, template, network or guest, with trouble midway: libvirtd dies, or others are faster.

The trouble comes at each boundary of the journal, while vfioctl lives on.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from template_lab import PLACE, SOURCE, Templates, prepared

pytest.importorskip("libvirt")
for plugin in ("storage", "network", "guest"):
    pytest.importorskip(f"vfioctl_{plugin}")

CREATES = {
    "pool": ("pool", "create", "new", "--path", f"{PLACE}/new"),
    "volume": ("volume", "create", "fast", "new.qcow2", "--size", "32M", "--template", "tiny"),
    "template": ("template", "add", "new", "--pool", "fast", "--file", SOURCE),
    "network": ("network", "create", "new", "--subnet", "10.77.0.0/24"),
    "guest": ("guest", "create", "new", "--memory", "64M", "--template", "tiny", "--pool", "fast", "--autostart",
              "--hostname", "new"),
}
BOUNDARIES = {"pool": 6, "volume": 2, "template": 8, "network": 6, "guest": 10}  # after the last all is done
EVERYWHERE = [pytest.param(what, number, id=f"{what}-{number}")
              for what, last in BOUNDARIES.items() for number in range(1, last)]  # fmt: skip
THEIRS = {
    "pool": ("pool-define-as", "new", "dir", "--target", f"{PLACE}/theirs"),
    "volume": ("vol-create-as", "fast", "new.qcow2", "1M", "--format", "qcow2"),
    "template": ("vol-create-as", "fast-templates", "new.qcow2", "1M", "--format", "qcow2"),
    "guest": ("vol-create-as", "fast", "new.qcow2", "1M", "--format", "qcow2"),
}
NETWORK = "<network><name>new</name><forward mode='bridge'/><bridge name='br-theirs'/></network>"


@pytest.fixture(scope="module")
def host(network_lab: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    made = prepared(network_lab, tmp_path_factory.mktemp("trouble"))
    done = made.cli(*CREATES["network"])  # libvirt's chains stay from then on
    assert done.returncode == 0, done.stderr
    made.cli("network", "delete", "new", "--yes")
    return made


@pytest.fixture
def on(host: Any) -> Iterator[Node]:
    made = Node(host)
    yield made
    made.remove()


class Node(Templates):
    """A node with a pool and a template, of which everything can be listed."""

    def __init__(self, host: Any) -> None:
        super().__init__(host)
        self.cli("template", "add", "tiny", "--pool", "fast", "--file", SOURCE)

    def everything(self) -> list[str]:
        """All that libvirt lists with its UUIDs, and all files, links and rules."""
        virsh = self.host.lab.virsh
        listed = [virsh(what, "--all", "--uuid").stdout for what in ("list", "net-list")]
        pools = [virsh("pool-uuid", name).stdout for name in virsh("pool-list", "--all", "--name").stdout.split()]
        files = self.host.must("find", PLACE, str(self.host.lab.etc), "-type", "f", "-o", "-path", f"{PLACE}/*")
        links = [line.split(":")[1] for line in self.host.must("ip", "-o", "link").splitlines()]
        return [*listed, *pools, *sorted(files.splitlines()), *links]

    def remove(self) -> None:
        virsh = self.host.lab.virsh
        for name in virsh("net-list", "--all", "--name").stdout.split():
            virsh("net-destroy", name, check=False)
            virsh("net-undefine", name)
        super().remove()

    def takes_the_name(self, what: str) -> None:
        """Somebody makes with virsh what vfioctl is about to make."""
        if what == "network":
            definition = self.host.place / "theirs.xml"
            definition.write_text(NETWORK)
            self.host.lab.virsh("net-define", str(definition))
        elif what == "domain":
            self.host.lab.define("new")
        else:
            self.host.lab.virsh(*THEIRS[what])


@pytest.mark.matrix
@pytest.mark.parametrize(("what", "number"), EVERYWHERE)
def test_a_daemon_that_is_killed_in_the_middle_leaves_nothing_of_ours(on: Node, what: str, number: int) -> None:
    before = on.everything()
    with on.host.standing_still(number, *CREATES[what]) as process:
        on.host.lab.sigkill()
    on.host.lab.start()
    assert process.returncode != 0
    on.host.recover()
    assert (on.everything(), on.host.left_open()) == (before, [])
    on.cli(*CREATES[what])


@pytest.mark.parametrize("what", [*BOUNDARIES, "domain"])
def test_what_somebody_else_makes_between_the_plan_and_the_deed_stays_alone(on: Node, what: str) -> None:
    before = on.everything()
    with on.host.standing_still(1, *CREATES["guest" if what == "domain" else what]) as process:
        on.takes_the_name(what)
        theirs = on.everything()
    assert process.returncode not in (0, 4)
    assert theirs != before
    assert (on.everything(), on.host.left_open()) == (theirs, [])
