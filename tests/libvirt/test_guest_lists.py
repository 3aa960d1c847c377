"""`vfioctl guest list` and `show` on a real libvirtd: many of them, one that hangs, a caller without rights."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest
import snapshot_lab

from vfioctl.virt.connection import connect
from vfioctl.virt.nodes import of_uri
from vfioctl.virt.summaries import GuestSummary, read_summaries

pytest.importorskip("libvirt")
pytest.importorskip("vfioctl_guest")

MANY = 44
NOBODY = 65534
LOCAL = ("virDomainGetUUIDString", "virDomainGetName", "virDomainFree")  # what libvirt's library answers by itself


@pytest.fixture(scope="module")
def closed(module_lab: Any) -> None:
    """Only root may ask the private libvirtd. Before the daemon starts."""
    with (module_lab.etc / "libvirtd.conf").open("a") as file:
        file.write('unix_sock_rw_perms = "0700"\nauth_unix_rw = "none"\nauth_unix_ro = "none"\n')


@pytest.fixture(scope="module")
def host(closed: None, bare_host: Any) -> Any:
    return bare_host


@pytest.fixture
def lab(host: Any) -> Any:
    return host.lab


@pytest.fixture
def guest(lab: Any) -> Iterator[str]:
    """A guest of its own, with a disk; gone at the end."""
    name = f"g{os.urandom(4).hex()}"
    lab.define(name)
    yield name
    lab.virsh("destroy", name, check=False)
    lab.virsh("undefine", "--managed-save", name, check=False)


def summary(lab: Any, name: str) -> GuestSummary:
    with connect(of_uri(lab.uri)) as connection:
        return next(one for one in read_summaries(connection) if one.name == name)


def rows(host: Any, *argv: str) -> dict[str, Any]:
    ended = host.cli("guest", "list", "--format", "json", *argv)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return {row["name"]: row for row in json.loads(ended.stdout)["data"]["guests"]}


def test_each_state_is_told_with_cpus_and_memory(lab: Any, guest: str) -> None:
    states = [summary(lab, guest)]
    for command in (("start",), ("suspend",), ("resume",), ("managedsave",)):
        lab.virsh(*command, guest)
        states.append(summary(lab, guest))
    assert [one.state for one in states] == ["off", "running", "paused", "running", "saved"]
    assert {(one.cpus, one.memory, one.reason) for one in states} == {(1, 32 << 20, "")}


def test_autostart_and_what_libvirt_forgets_are_told(lab: Any, guest: str) -> None:
    lab.virsh("autostart", guest)
    assert summary(lab, guest).autostart
    lab.virsh("start", guest)
    lab.virsh("undefine", guest)
    left = summary(lab, guest)
    assert (left.persistent, left.state) == (False, "running")


def test_many_guests_that_are_off_cost_as_many_calls_as_one(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import libvirtmod

    names = [f"m{number:02}" for number in range(MANY)]
    for name in names:
        lab.define(name)
    calls: list[str] = []
    for name in [one for one in dir(libvirtmod) if one.startswith(("virDomain", "virConnect"))]:
        monkeypatch.setattr(libvirtmod, name, _counted(getattr(libvirtmod, name), name, calls))
    with connect(of_uri(lab.uri)) as connection:
        calls.clear()
        found = [one.name for one in read_summaries(connection)]
        asked = [name for name in calls if name not in LOCAL]
    assert [name for name in found if name in names] == names
    assert len(asked) == 5, asked
    for name in names:
        lab.virsh("undefine", name)


def _counted(function: Any, name: str, calls: list[str]) -> Any:
    def call(*arguments: Any) -> Any:
        calls.append(name)
        return function(*arguments)

    return call


def test_a_guest_whose_emulator_hangs_holds_up_no_list(lab: Any, guest: str) -> None:
    before = set(lab.qemu_pids())
    lab.virsh("start", guest)
    (emulator,) = set(lab.qemu_pids()) - before
    os.kill(emulator, signal.SIGSTOP)
    try:
        found = summary(lab, guest)
        assert (found.state, found.cpus, found.memory) == ("running", 1, 32 << 20)
    finally:
        os.kill(emulator, signal.SIGCONT)


def test_the_verb_lists_all_and_with_running_only_those(host: Any, lab: Any, guest: str) -> None:
    assert rows(host)[guest]["state"] == "off"
    assert guest not in rows(host, "--running")
    lab.virsh("start", guest, "--paused")
    assert rows(host, "--running")[guest]["node"] == "local"


def test_somebody_without_any_right_sees_the_list_and_a_guest(host: Any, guest: str) -> None:
    for argv in (("list",), ("show", guest)):
        ended = host.cli_of(NOBODY, NOBODY, "guest", *argv)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        assert guest in ended.stdout


def test_a_guest_is_shown_with_its_disks(host: Any) -> None:
    made = snapshot_lab.Guest(host, disks=2)
    ended = host.cli("guest", "show", made.name, "--format", "json")
    shown = json.loads(ended.stdout)["data"]["guest"]
    assert {disk["target"]: disk["source"] for disk in shown["disks"]} == made.sources
    assert (shown["state"], shown["firmware"], shown["snapshots"]) == ("off", "bios", [])


def test_an_unknown_guest_is_answered_with_the_nearest(host: Any, guest: str) -> None:
    ended = host.cli("guest", "show", guest[:-1])
    assert ended.returncode == 3
    assert f'did you mean "{guest}"' in ended.stderr
