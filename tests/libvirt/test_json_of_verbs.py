"""The JSON of each verb of a plugin on a real libvirtd has the keys that docs/reference/json has of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import agent_guest
import pytest
from agent_guest import Web
from json_walk import Walk
from snapshot_lab import IMAGES

pytest.importorskip("libvirt")
for plugin in ("guest", "network", "snapshot", "storage"):
    pytest.importorskip(f"vfioctl_{plugin}")

pytestmark = pytest.mark.timeout(400)
PROFILE = 'description = "A small one"\nmemory = "64M"\ncpus = 2\n'
ADA = (
    "echo 'ada:x:1000:1000::/home/ada:/bin/sh' >>/etc/passwd; echo 'ada:*:19000:0:99999:7:::' >>/etc/shadow; "
    "mkdir -p /home/ada; chown 1000:1000 /home/ada; echo made"
)
GOLDENS = Path(__file__).parent / "goldens"


@pytest.fixture(scope="module")
def web(network_lab: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    made = Web(agent_guest.prepared(network_lab, tmp_path_factory.mktemp("json")))
    place = made.host.place
    made.host.must("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "ada@laptop", "-f", str(place / "id"))
    made.host.must("qemu-img", "create", "-q", "-f", "qcow2", str(place / "image.qcow2"), "8M")
    (place / "secret").write_text("open sesame\n")
    (place / "app.conf").write_text("text\n")
    yield made
    made.close()


@pytest.fixture
def typed(web: Web, request: pytest.FixtureRequest) -> Iterator[Walk]:
    """What is typed in the test `test_NAME`, and the keys of it in the end."""
    name = request.node.name.removeprefix("test_")
    made = Walk(web.host, GOLDENS / f"json_{name}.json")
    yield made
    made.must_be_recorded(regenerate=request.config.getoption("--regenerate"))


@pytest.fixture
def done(web: Web) -> Callable[..., str]:
    """What is typed beside, and is another test's."""
    return partial(_said, web.host)


def _said(host: Any, line: str) -> str:
    return str(host.said(*line.split()))


def test_pools(typed: Walk) -> None:
    typed(f"pool create fast --path {IMAGES}/fast --dry-run")
    typed(f"pool create fast --path {IMAGES}/fast")
    for verb in ("refresh", "stop", "start", "autostart", "list --all-nodes", "show", "delete --yes"):
        typed(f"pool {verb}" if verb.startswith("list") else f"pool {verb} fast")
    typed("pool refresh images")
    typed("pool show images")
    typed("pool list")


def test_templates(typed: Walk, web: Web, done: Callable[..., str]) -> None:
    typed(f"template add tiny --pool images --file {web.host.place}/image.qcow2 --os tiny --tag small")
    done("volume create images next.qcow2 --size 8M")
    typed("template update tiny --volume images/next.qcow2")
    done("volume create images above.qcow2 --template tiny")
    for line in ("list", "show tiny@1", "show tiny", "verify tiny", "sources"):
        typed(f"template {line}")
    for name in ("above", "next"):
        done(f"volume delete images {name}.qcow2 --yes")
    typed("template delete tiny@2 --yes")
    typed("template delete tiny --yes")


def test_volumes(typed: Walk, web: Web, tmp_path: Path) -> None:
    typed("volume create images db.qcow2 --size 8M")
    typed("volume clone images db.qcow2 copy.qcow2")
    typed("volume clone images copy.qcow2 above.qcow2 --linked")
    typed("volume show images copy.qcow2")
    typed("volume delete images above.qcow2 --yes")
    typed("volume list images")
    typed("volume list --all-nodes")
    typed("volume show images db.qcow2")
    typed("volume show images web.qcow2")
    typed("volume resize images copy.qcow2 16M")
    typed("volume resize images copy.qcow2 16M")
    typed("volume compact images copy.qcow2 --dry-run")
    typed("volume compact images copy.qcow2")
    typed(f"volume upload images new.qcow2 {web.host.place}/image.qcow2")
    typed(f"volume download images new.qcow2 {tmp_path}/new.qcow2")
    for name in ("new", "copy", "db"):
        typed(f"volume delete images {name}.qcow2 --yes")


def test_networks(typed: Walk, web: Web, done: Callable[..., str]) -> None:
    done("guest start web")
    done("guest address web --wait")
    typed("network create more --subnet 192.168.223.0/24 --dry-run")
    typed("network create more --subnet 192.168.223.0/24")
    typed("network set more --lease 52:54:00:00:00:09=192.168.223.9 --dns db=192.168.223.9")
    typed("network set more --dns db=192.168.223.9")
    for line in ("stop more", "start more", "autostart more --off", "list", "leases", "show lab", "show more"):
        typed(f"network {line}")
    typed("network check lab")
    web.host.must("sh", "-c", "iptables -F; iptables -t nat -F")
    typed("network check lab", status=1)
    typed("network repair lab --dry-run")
    typed("network repair lab")
    typed("network delete more --yes")


def test_snapshots(typed: Walk, web: Web) -> None:
    web.close()
    for line in ("create web first --dry-run", "create web first", "create web second", "list web", "show web first"):
        typed(f"snapshot {line}")
    for line in ("show web second", "revert web second --yes", "delete web second --yes", "create web third"):
        typed(f"snapshot {line}")
    typed("snapshot prune web --keep 1 --yes")
    typed("snapshot delete web third --yes")


def test_ssh_keys(typed: Walk, web: Web) -> None:
    web.start()
    key = web.host.place / "id.pub"
    typed("ssh-key create eve --dry-run")
    typed("ssh-key create eve")
    typed(f"ssh-key import ada --file {key}")
    typed("ssh-key list")
    typed("ssh-key show ada")
    typed("ssh-key show eve")
    typed("ssh-key delete eve --yes")
    typed("ssh-key delete ada --yes")
    web.line.ask(ADA)
    typed(f"guest ssh-key add web --user ada --key {key}")
    typed("guest ssh-key list web --user ada")
    typed(f"guest ssh-key remove web --user ada --key {key}")
    typed(f"guest passwd web --user root --password-file {web.host.place}/secret")


def test_guest_life(typed: Walk, web: Web, done: Callable[..., str]) -> None:
    web.close()
    done("snapshot create web kept")
    typed("guest show web")
    done("snapshot delete web kept --yes")
    for line in ("start web --dry-run", "start web", "start web", "suspend web", "list --all-nodes", "show web"):
        typed(f"guest {line}")
    for line in ("resume web", "save web", "list", "discard-saved web --yes", "start web", "reboot web --force"):
        typed(f"guest {line}")
    typed("guest stop web --force")
    typed("guest shutdown web")
    typed("guest destroy web", status=3)


def test_guest_access(typed: Walk, web: Web) -> None:
    web.start()
    typed("guest address web --wait")
    typed("guest stats web")
    typed(f"guest screenshot web {web.host.place}/now.png")
    typed("guest vnc web")
    typed("guest console web")
    typed("guest ssh web -- uptime")
    typed("guest exec web -- sh -c", "echo up")
    typed(f"guest copy {web.host.place}/app.conf web:/tmp/app.conf --by agent")


def test_guest_make(typed: Walk, web: Web, done: Callable[..., str], tmp_path: Path) -> None:
    place = web.host.place
    profiles = "/etc/vfioctl/profiles"
    web.host.must("sh", "-c", f"mkdir -p {profiles}; printf '%s' '{PROFILE}' >{profiles}/small.toml")
    done(f"template add tiny --pool images --file {place}/image.qcow2")
    typed("guest profile list")
    typed("guest profile show small")
    typed("guest create many --memory 64M --template tiny --pool images --network lab --count 2")
    made = "guest create db --profile small --template tiny --pool images --network lab --user ada"
    typed(f"{made} --ssh-key {place}/id.pub --dry-run")
    typed(f"{made} --ssh-key {place}/id.pub")
    typed("guest clone db db2 --dry-run")
    typed("guest clone db db2")
    done("volume create images more.qcow2 --size 8M")
    typed("guest attach db --volume images/more.qcow2 --dry-run")
    typed("guest attach db --volume images/more.qcow2")
    typed("guest detach db vdc")
    web.host.iso(f"{IMAGES}/one.iso")
    done("pool refresh images")
    typed("guest attach db --iso images/one.iso")
    typed("guest eject db")
    typed("guest set db --cpus 1 --memory 128M --autostart")
    typed("guest rename db2 shop")
    xml = tmp_path / "db.xml"
    xml.write_text(web.host.lab.virsh("dumpxml", "--inactive", "db").stdout.replace("<vcpu", "<title>x</title><vcpu"))
    typed(f"guest edit db --file {xml} --dry-run")
    typed(f"guest edit db --file {xml} --yes")
    typed("guest reset-system db --yes --dry-run")
    typed("guest reset-system db --yes")
    typed("guest delete db --yes --dry-run")
    done("snapshot create shop old")
    for name in ("shop", "many-1", "many-2", "db"):
        typed(f"guest delete {name} --yes")
    for name in ("more.qcow2", "one.iso"):
        done(f"volume delete images {name} --yes")
    done("template delete tiny --yes")
