"""Each verb that takes --node, on a second host: what libvirt can do there is done, all else refused with where to go.

The table of docs/reference/nodes.md says which is which; it must have every verb.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
import snapshot_lab
from forwarding import forwarded
from network_host import SUBNETS
from nodes_page import ELSEWHERE, HERE_ALONE
from second_node import said

pytest.importorskip("libvirt")
pytest.importorskip("vfioctl_guest")
pytest.importorskip("vfioctl_network")
pytest.importorskip("vfioctl_snapshot")
pytest.importorskip("vfioctl_storage")
pytestmark = pytest.mark.timeout(900)  # the first of them runs every line

SUBNET = next(SUBNETS)
FILE, BACK, ISO = "/var/image.raw", "/var/back.raw", "/var/disc.iso"
PLACE = "/var/lib/libvirt/second"
# A life of a guest with all that it needs, in this order; several verbs need what the one before them has made.
LIFE = f"""
network create lab --subnet {SUBNET}
network list
network show lab
network leases lab
network set lab --dns db={SUBNET.replace(".0/24", ".9")}
network autostart lab --off
network stop lab
network start lab
pool create second --path {PLACE}
pool list
pool show second
pool refresh second
pool autostart second --off
pool stop second
pool start second
volume create second blank --size 4M
volume list second
volume show second blank
volume clone second blank copy
volume resize second blank 8M
volume upload second image {FILE}
volume upload second disc.iso {ISO}
volume download second image {BACK}
template add base --pool second --file {FILE} --image-format raw
template list
template show base
template verify base
guest create web --memory 64M --disk 8M --pool second --network lab
guest list
guest show web
guest start web
guest address web
guest stats web
guest screenshot web /var/screen.png
guest set web --autostart
guest suspend web
guest resume web
snapshot create shot clean
snapshot list shot
snapshot show shot clean
guest reboot web --force
guest save web
guest discard-saved web --yes
guest start web
guest shutdown web --force
guest attach web --volume second/blank
guest detach web vdb
guest attach web --iso second/disc.iso
guest eject web
guest stop web
guest rename web web2
guest delete web2 --yes
template delete base --yes
volume delete second copy --yes
network delete lab --yes
pool delete second-templates --yes
pool delete second --keep-files --yes
"""
REFUSED = """
volume compact second blank
network check lab
network repair lab
snapshot revert shot clean --yes
snapshot delete shot clean --yes
snapshot prune shot --keep 0 --yes
"""
BEFORE = "guest reboot web --force"  # they are tried while a guest has its snapshot
NOTHING_FOUND = "guest address web"  # which has no system that would ask for one


def verb(line: str) -> str:
    return " ".join(line.split()[:2])


@pytest.fixture(scope="module")
def host(bare_host: Any) -> Any:
    bare_host.must("truncate", "-s", "4M", FILE)
    bare_host.iso(ISO)
    return bare_host


@pytest.fixture(scope="module")
def node(network_lab: Any) -> Iterator[str]:
    """The URI of the second host, on which the guest `shot` runs."""
    network_lab.start()
    image = network_lab.work / "shot.qcow2"
    said("qemu-img", "create", "-q", "-f", "qcow2", str(image), "1M")
    network_lab.define("shot", devices=snapshot_lab.DISK.format(form="qcow2", path=image, target="vda"))
    network_lab.virsh("start", "shot")
    with forwarded(network_lab) as uri:
        yield uri


@pytest.fixture(scope="module")
def told(host: Any, node: str) -> dict[str, subprocess.CompletedProcess[str]]:
    """How each line has ended there."""
    ended = {}
    for line in LIFE.strip().splitlines():
        for each in (*(REFUSED.strip().splitlines() if line == BEFORE else ()), line):
            ended[each] = host.cli(*each.split(), "--node", node)
    return ended


def test_the_table_has_each_verb_that_is_run_here() -> None:
    assert {verb(line) for line in LIFE.strip().splitlines()} == ELSEWHERE
    assert {verb(line) for line in REFUSED.strip().splitlines()} == HERE_ALONE


@pytest.mark.parametrize("line", dict.fromkeys(LIFE.strip().splitlines()))
def test_it_is_done_there(told: dict[str, Any], line: str) -> None:
    status, code = (1, "[guest.no_address]") if line == NOTHING_FOUND else (0, "")
    assert told[line].returncode == status, told[line].stdout + told[line].stderr
    assert code in told[line].stderr


@pytest.mark.parametrize("line", REFUSED.strip().splitlines())
def test_it_is_refused_with_where_to_go(told: dict[str, Any], node: str, line: str) -> None:
    assert told[line].returncode == 3, told[line].stdout + told[line].stderr
    assert f"Run it on {node}, without --node." in told[line].stderr


def test_nothing_is_left_on_either_host(host: Any, node: str, told: dict[str, Any], network_lab: Any) -> None:
    assert told
    assert host.left_open() == []
    assert network_lab.virsh("list", "--all", "--name").stdout.split() == ["shot"]
    assert network_lab.virsh("pool-list", "--all", "--name").stdout.split() == []
