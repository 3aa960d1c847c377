"""`guest start` and `create --start` where network and pool are not active: they start first, and stop on failure."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import pytest
import snapshot_lab
from living import Living

pytest.importorskip("libvirt")
pytest.importorskip("vfioctl_guest")

NETWORK, POOL = "quiet", "shelf"
DEVICES = f"""\
<interface type='network'><source network='{NETWORK}'/></interface>
<disk type='volume' device='disk'><driver name='qemu' type='raw'/><source pool='{POOL}' volume='one.raw'/>
  <target dev='vdb' bus='virtio'/><readonly/></disk>
"""
DEFINITION = "<network><name>{name}</name><bridge name='br-{name}'/>{more}</network>"
BOUNDARIES = range(1, 7)  # two a step: network, pool, guest
STARTS = ["network.start", "pool.start", "domain.start"]


@pytest.fixture(scope="module")
def host(network_lab: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    place = tmp_path_factory.mktemp("needs")
    place.chmod(0o755)
    made = snapshot_lab.SnapshotLab(network_lab, place)
    network_lab.start()
    define(made, NETWORK)
    made.must("truncate", "-s", "1M", str(place / "one.raw"))
    network_lab.virsh("pool-define-as", POOL, "dir", "--target", str(place))
    return made


@pytest.fixture
def guest(host: Any) -> Iterator[Needy]:
    made = Needy(host, devices=DEVICES)
    yield made
    made.remove()


class Needy(Living):
    """A guest whose network and pool are not active."""

    def remove(self) -> None:
        super().remove()
        self.host.lab.virsh("net-destroy", NETWORK, check=False)
        self.host.lab.virsh("pool-destroy", POOL, check=False)

    @property
    def active(self) -> list[str]:
        """What is, of all networks and pools."""
        virsh = self.host.lab.virsh
        return (virsh("net-list", "--name").stdout + virsh("pool-list", "--name").stdout).split()


def define(host: Any, name: str, more: str = "") -> None:
    document = host.place / f"{name}.xml"
    document.write_text(DEFINITION.format(name=name, more=more))
    host.lab.virsh("net-define", str(document))


def test_what_it_needs_is_started_before_it_in_one_operation(guest: Needy) -> None:
    data = guest.done("start", "--yes")
    assert [step["kind"] for step in data["steps"]] == STARTS
    assert (guest.state, guest.active) == ("running", [NETWORK, POOL])
    assert guest.host.left_open() == []
    guest.done("stop", "--force")
    assert [step["kind"] for step in guest.done("start")["steps"]] == ["domain.start"], "nothing is to be asked now"


def test_where_nobody_can_be_asked_the_commands_are_named_and_nothing_is_started(guest: Needy) -> None:
    said = guest.refused("start")
    assert "[guest.unconfirmed_needs]" in said
    for command in (f"network start {NETWORK}", f"pool start {POOL}", f"guest start {guest.name} --yes"):
        assert f"vfioctl {command}" in said
    assert guest.active == []


def test_a_dry_run_shows_all_of_it_and_asks_nothing(guest: Needy) -> None:
    assert [step["kind"] for step in guest.done("start", "--dry-run")["steps"]] == STARTS
    assert guest.active == []


def test_what_was_started_for_a_guest_that_does_not_start_is_stopped_again(guest: Needy) -> None:
    guest.disk.unlink()
    said = guest.refused("start", "--yes", status=1)
    assert guest.disk.name in said
    assert guest.active == []
    assert guest.host.left_open() == []


def test_a_saved_guest_gets_what_it_needs_as_well(guest: Needy) -> None:
    guest.done("start", "--yes")
    guest.wait()
    guest.done("save")
    guest.host.lab.virsh("net-destroy", NETWORK)
    assert [step["kind"] for step in guest.done("start", "--yes")["steps"]] == ["network.start", "domain.restore"]
    assert guest.state == "running"


def test_a_network_whose_addresses_are_in_use_by_now_is_not_started(guest: Needy) -> None:
    guest.host.lab.virsh("net-undefine", NETWORK)
    define(guest.host, NETWORK, "<ip address='10.88.1.1' prefix='24'/>")
    guest.host.must("ip", "route", "add", "unreachable", "10.88.0.0/16")
    try:
        assert "[network.address_in_use]" in guest.refused("start", "--yes")
        assert guest.active == []
    finally:
        guest.host.must("ip", "route", "del", "unreachable", "10.88.0.0/16")
        guest.host.lab.virsh("net-undefine", NETWORK)
        define(guest.host, NETWORK)


@pytest.mark.matrix
@pytest.mark.parametrize("number", BOUNDARIES)
def test_nothing_runs_of_a_start_that_was_killed(guest: Needy, number: int) -> None:
    guest.host.must("sh", "-c", f"rm -f /.kit/*; echo '{number} 9' > /.kit/crash")
    assert guest.cli("start", guest.name, "--yes").returncode != 0
    guest.host.must("sh", "-c", "rm -f /.kit/*")
    guest.host.recover()
    assert (guest.state, guest.active, guest.host.left_open()) == ("shut off", [], [])
    guest.done("start", "--yes")


@pytest.mark.matrix
@pytest.mark.parametrize("number", BOUNDARIES[1::2])
def test_what_another_guest_runs_on_by_then_stays_active(guest: Needy, number: int) -> None:
    """It was started by this, and is not its own any more."""
    other = Needy(guest.host, devices=DEVICES)
    guest.host.must("sh", "-c", f"rm -f /.kit/*; echo '{number} 9' > /.kit/crash")
    guest.cli("start", guest.name, "--yes")
    guest.host.must("sh", "-c", "rm -f /.kit/*")
    for command in ("net-start", NETWORK), ("pool-start", POOL), ("start", other.name):
        guest.host.lab.virsh(*command, check=False)
    try:
        guest.host.cli("recover")
        assert (guest.state, other.state, other.active) == ("shut off", "running", [NETWORK, POOL])
    finally:
        Living.remove(other)
        guest.host.recover()


@pytest.fixture
def new(host: Any) -> Iterator[Any]:
    made = New(host)
    yield made
    made.remove()


class New:
    """A guest that is made with an empty disk in the pool, on the network, and started."""

    def __init__(self, host: Any) -> None:
        self.host, self.name = host, f"n{os.urandom(4).hex()}"
        self.volume = host.place / f"{self.name}.qcow2"

    def create(self, *more: str) -> Any:
        argv = ("--memory", "64M", "--disk", "1M", "--pool", POOL, "--network", NETWORK, "--start")
        return self.host.cli("guest", "create", self.name, *argv, *more)

    def done(self, *more: str) -> list[str]:
        """The kinds of its steps."""
        ended = self.create(*more, "--format", "json")
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return [step["kind"] for step in json.loads(ended.stdout)["data"]["steps"]]

    @property
    def there(self) -> tuple[bool, bool, list[str]]:
        """Whether libvirt knows it, whether its disk is there, and what is active."""
        virsh = self.host.lab.virsh
        active = (virsh("net-list", "--name").stdout + virsh("pool-list", "--name").stdout).split()
        return self.name in virsh("list", "--all", "--name").stdout.split(), self.volume.exists(), active

    def remove(self) -> None:
        virsh = self.host.lab.virsh
        for command in (("destroy", self.name), ("undefine", self.name), ("net-destroy", NETWORK),
                        ("pool-destroy", POOL)):  # fmt: skip
            virsh(*command, check=False)
        self.volume.unlink(missing_ok=True)


NOTHING = (False, False, [])
MAKES = ["network.start", "pool.start", "volume.create", "domain.define", "domain.start"]


def test_a_new_guest_gets_what_it_needs_before_its_first_start(new: New) -> None:
    assert new.done("--yes") == MAKES
    assert new.there == (True, True, [NETWORK, POOL])
    assert (new.host.lab.state(new.name), new.host.left_open()) == ("running", [])


def test_a_new_guest_is_not_made_where_nobody_can_be_asked_what_it_needs(new: New) -> None:
    ended = new.create()
    assert ended.returncode == 3, ended.stdout + ended.stderr
    said = ended.stdout + ended.stderr
    assert "guest.unconfirmed_needs" in said
    for part in f"vfioctl network start {NETWORK}", f"vfioctl pool start {POOL}", " --yes":
        assert part in said
    assert new.there == NOTHING


def test_a_dry_run_of_a_new_guest_shows_what_is_started_before_it(new: New) -> None:
    assert new.done("--dry-run") == MAKES
    assert new.there == NOTHING


def test_nothing_stays_of_a_new_guest_that_does_not_start(new: New) -> None:
    """The bridge of its second network is not there, as libvirt finds out only then."""
    define(new.host, "broken", "<forward mode='bridge'/>")
    new.host.lab.virsh("net-start", "broken")
    try:
        ended = new.create("--yes", "--network", "broken")
        assert ended.returncode == 1, ended.stdout + ended.stderr
        assert (new.there, new.host.left_open()) == ((False, False, ["broken"]), [])
    finally:
        new.host.lab.virsh("net-destroy", "broken")
        new.host.lab.virsh("net-undefine", "broken")


@pytest.mark.matrix
@pytest.mark.parametrize("number", range(1, 2 * len(MAKES) + 1))
def test_nothing_stays_of_a_new_guest_whose_making_was_killed(new: New, number: int) -> None:
    new.host.must("sh", "-c", f"rm -f /.kit/*; echo '{number} 9' > /.kit/crash")
    assert new.create("--yes").returncode != 0
    new.host.must("sh", "-c", "rm -f /.kit/*")
    new.host.recover()
    assert (new.there, new.host.left_open()) == (NOTHING, [])
