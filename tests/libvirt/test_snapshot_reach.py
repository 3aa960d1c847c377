"""`vfioctl snapshot create` of a running guest by libvirt alone: on another node, and by a member of its group."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import snapshot_lab
from forwarding import forwarded
from running_guests import Running, fill, with_flash

pytest.importorskip("libvirt")
pytest.importorskip("vfioctl_snapshot")

MEMBER, GROUP = 65534, 1  # nobody, as a member of the group daemon

Create = Callable[..., Any]


@pytest.fixture(scope="module")
def host(open_to_the_group: None, bare_host: Any) -> Any:
    return bare_host


@pytest.fixture
def running(host: Any) -> Iterator[Running]:
    made = Running(snapshot_lab.Guest(host, disks=2))
    made.switch_on()
    yield made
    host.lab.virsh("destroy", made.name, check=False)


@pytest.fixture(params=["of another node", "by a member of the group"])
def create(request: pytest.FixtureRequest, host: Any) -> Iterator[Create]:
    """`vfioctl snapshot create` from where no file of the guest is seen."""
    if request.param == "by a member of the group":
        yield lambda *argv: host.cli_of(MEMBER, GROUP, "snapshot", "create", *argv)
        return
    with forwarded(host.lab) as node:
        yield lambda *argv: host.cli("snapshot", "create", *argv, "--node", node)


def test_what_it_wrote_before_comes_back_on_its_node(running, host, create):
    guest = running.guest
    running.write(0x40)
    ended = create(running.name, "clean")
    assert ended.returncode == 0, ended.stderr
    assert running.disks == guest.sources, "its configuration has the new images as well"
    assert all(path.endswith(".clean.qcow2") for path in running.disks.values())
    running.write(0x60)
    running.switch_off()
    host.done("revert", running.name, "clean")
    for number, path in enumerate(guest.sources.values()):
        host.must("qemu-io", "-r", "-f", "qcow2", "-c", f"read -P {0x40 + number} 0 {snapshot_lab.SECTION}", path)


def test_on_its_node_it_is_one_of_ours_and_goes_with_all_that_was_made(running, host, create):
    before = host.files()
    for name in ("one", "two"):
        assert create(running.name, name).returncode == 0
    assert [(row["name"], row["origin"]) for row in host.listed(running.name)] == [("one", "create"), ("two", "create")]
    running.switch_off()
    present = running.guest.state()
    host.done("delete", running.name, "one", "--yes")
    assert [row["missing"] for row in host.listed(running.name)] == [[]]
    host.done("prune", running.name, "--keep", "0", "--yes")
    assert (host.names(running.name), running.guest.state()) == ([], present)
    assert len(host.files()) == len(before)


def test_a_dry_run_changes_nothing_and_says_what_would_be_done(running, host, create):
    before, disks = host.files(), running.disks
    ended = create(running.name, "clean", "--dry-run", "--format", "json")
    assert [step["kind"] for step in json.loads(ended.stdout)["data"]["steps"]] == ["disk.live"]
    assert (host.files(), running.disks) == (before, disks)


def test_a_name_that_is_taken_is_refused(running, host, create):
    assert create(running.name, "clean").returncode == 0
    before, disks = host.files(), running.disks
    ended = create(running.name, "clean")
    assert (ended.returncode, "[snapshot.taken]" in ended.stderr) == (3, True), ended.stderr
    assert (host.files(), running.disks) == (before, disks)


def test_a_file_that_is_in_the_way_stays_as_it_is(running, host, create):
    image = running.disks["vda"]
    there = image.replace(".qcow2", ".clean.qcow2")
    host.must("sh", "-c", f"echo theirs > {there}")
    disks = running.disks
    assert create(running.name, "clean").returncode == 1
    assert host.must("cat", there) == "theirs\n"
    assert (running.disks, host.names(running.name)) == (disks, [])
    host.must("rm", there)


def test_a_guest_that_is_off_needs_its_files(running, host, create):
    running.switch_off()
    before = host.files()
    ended = create(running.name, "clean")
    assert ended.returncode in (3, 77)
    assert "[snapshot.elsewhere]" in ended.stderr or "needs root" in ended.stderr
    assert host.files() == before


def test_the_nvram_is_out_of_reach_so_only_the_disks_are_taken_and_that_on_request(host, create):
    guest = with_flash(host)
    fill(guest, "a")
    running = Running(guest)
    running.switch_on("--paused")
    before, disks = host.files(), running.disks
    ended = create(running.name, "clean")
    assert (ended.returncode, "[snapshot.out_of_reach]" in ended.stderr) == (3, True), ended.stderr
    assert (host.files(), running.disks) == (before, disks)
    assert create(running.name, "clean", "--disks-only").returncode == 0
    assert [row["nvram"] for row in host.listed(running.name)] == [False]
    running.switch_off()
    assert "[snapshot.without_nvram]" in host.refused("revert", running.name, "clean")
