"""`virt` asks a real daemon: one that is restarted, stopped or killed; by somebody without the right."""

from __future__ import annotations

import grp
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from somebody import NOBODY

from vfioctl.errors import Refused, VfioctlError
from vfioctl.virt.connection import Connection, borrowed, connect
from vfioctl.virt.events import events
from vfioctl.virt.guests import read_guest, read_guests
from vfioctl.virt.nodes import Node
from vfioctl.virt.uses import other_sources
from vfioctl.wait import Stop

ASKS = """
from vfioctl.errors import VfioctlError
from vfioctl.virt.connection import connect
from vfioctl.virt.guests import read_guests
try:
    with connect() as connection:
        for guest in read_guests(connection):
            print(guest.name, guest.state, guest.xml[:7])
except VfioctlError as error:
    print(error.code, error.message)
"""
STOPS = """
import contextlib, os, signal, sys
from vfioctl.errors import VfioctlError
from vfioctl.virt.connection import connect
from vfioctl.virt.nodes import Node
how, uri, daemon = sys.argv[1:]
connection = connect(Node("", uri))
os.kill(int(daemon), signal.SIGSTOP)
if how == "asked":
    with contextlib.suppress(VfioctlError):
        connection.ask(lambda handle: handle.listAllDomains(), "the guests", limit=0.2)
if how == "closed":
    connection.close()
if how == "dropped":
    del connection
"""
CDROM = "<disk type='file' device='cdrom'><source file='{}'/><target dev='sda' bus='sata'/></disk>"


@pytest.fixture
def daemon(make_lab: Callable[..., Any]) -> Any:
    lab = make_lab()
    lab.start()
    return lab


@pytest.fixture
def asked(daemon: Any) -> Iterator[Connection]:
    with connect(Node("local", daemon.uri)) as connection:
        yield connection


def test_the_version_is_that_of_the_daemon(asked: Connection, libvirt_version: Any) -> None:
    assert asked.version[:2] == libvirt_version


def test_a_guest_is_off_then_runs_and_is_off_again(daemon: Any, asked: Connection) -> None:
    uuid = daemon.define("win11")
    before = read_guest(asked, "win11")
    daemon.virsh("start", "win11")
    running = read_guest(asked, uuid)
    daemon.virsh("destroy", "win11")
    assert (before.state, running.state, read_guest(asked, "win11").state) == ("off", "running", "off")
    assert (before.live_xml, "<domain type='qemu' id=" in running.live_xml) == ("", True)
    assert running.xml == before.xml


def test_a_guest_that_is_paused_is_told_apart(daemon: Any, asked: Connection) -> None:
    daemon.define("win11")
    daemon.virsh("start", "win11", "--paused")
    assert read_guests(asked)[0].state == "paused"


def test_what_a_saved_guest_uses_is_known(daemon: Any, asked: Connection, tmp_path: Any) -> None:
    image = tmp_path / "install.iso"
    image.write_bytes(bytes(4096))
    daemon.define("win11", devices=CDROM.format(image))
    daemon.virsh("start", "win11")
    daemon.virsh("managedsave", "win11")
    assert read_guest(asked, "win11").state == "saved"
    assert str(image) in other_sources(asked, "")


def test_an_unknown_guest_is_refused_with_the_nearest(daemon: Any, asked: Connection) -> None:
    daemon.define("win11")
    with pytest.raises(Refused, match='did you mean "win11"'):
        read_guest(asked, "win1")


def test_after_a_restart_of_the_daemon_the_call_fails_and_the_next_connection_answers(
    daemon: Any, asked: Connection
) -> None:
    daemon.restart()
    with pytest.raises(VfioctlError) as error:
        read_guests(asked)
    assert error.value.code == "libvirt.down"
    with borrowed({asked.node.uri: asked}, asked.node) as again:
        assert read_guests(again) == ()


def test_a_daemon_that_stands_still_is_given_up_and_answers_later(daemon: Any, asked: Connection) -> None:
    os.kill(daemon.daemon_pid, signal.SIGSTOP)
    try:
        with pytest.raises(VfioctlError) as error:
            asked.ask(lambda libvirt: libvirt.listAllDomains(), "the list of guests", limit=0.5)
        with pytest.raises(VfioctlError) as unopened:
            connect(asked.node, limit=0.5)
    finally:
        os.kill(daemon.daemon_pid, signal.SIGCONT)
    assert (error.value.code, unopened.value.code) == ("libvirt.unanswered", "libvirt.unanswered")
    assert read_guests(asked) == ()


@pytest.mark.parametrize("how", ["left", "dropped", "asked", "closed"])
def test_a_daemon_that_stands_still_does_not_keep_a_process_that_ends(daemon: Any, how: str) -> None:
    argv = [sys.executable, "-I", "-c", STOPS, how, daemon.uri, str(daemon.daemon_pid)]
    try:
        subprocess.run(argv, check=True, timeout=20)
    finally:
        os.kill(daemon.daemon_pid, signal.SIGCONT)


def test_a_daemon_that_is_gone_is_down(daemon: Any) -> None:
    daemon.sigkill()
    with pytest.raises(VfioctlError) as error:
        connect(Node("local", daemon.uri))
    assert error.value.code == "libvirt.down"


def test_events_come_and_are_watched_again_after_a_restart_of_the_daemon(daemon: Any) -> None:
    ended = Stop()
    watched = events(Node("local", daemon.uri), stop=ended.is_asked)
    assert next(watched).kind == "watched"
    daemon.define("win11")
    assert (first := next(watched)).kind == "defined"
    daemon.restart()
    assert [next(watched).kind, next(watched).kind] == ["lost", "watched"]
    daemon.virsh("start", "win11")
    assert next(one for one in watched if one.kind == "started").uuid == first.uuid
    ended.ask()
    assert [one.kind for one in watched if one.kind == "lost"] == []


def test_a_daemon_that_stands_still_is_lost_and_watched_again_when_it_goes_on(daemon: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("vfioctl.virt.events.KEEP_ALIVE", (1, 1))
    watched = events(Node("local", daemon.uri))
    assert next(watched).kind == "watched"
    os.kill(daemon.daemon_pid, signal.SIGSTOP)
    try:
        assert next(watched).kind == "lost"
    finally:
        os.kill(daemon.daemon_pid, signal.SIGCONT)
    assert next(watched).kind == "watched"


def test_a_file_that_a_start_misses_is_no_daemon_that_is_down(daemon: Any, asked: Connection) -> None:
    daemon.define("win11", devices=CDROM.format("/nowhere/install.iso"))
    with pytest.raises(VfioctlError, match=r"/nowhere/install\.iso") as error:
        asked.ask(lambda libvirt: libvirt.lookupByName("win11").create(), "the start of win11")
    assert error.value.code == "libvirt.failed"


@pytest.fixture
def as_nobody(make_lab: Callable[..., Any]) -> Callable[..., str]:
    """What somebody says who asks a daemon that the group daemon may ask, as its member or not."""
    lab = make_lab()
    lab.let_members_ask()
    lab.start()
    lab.define("win11")

    def ask(*groups: str) -> str:
        user = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", *(groups or ("--clear-groups",)))
        argv = lab.inside(*user, sys.executable, "-I", "-c", ASKS)
        return subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60, cwd="/").stdout

    return ask


def test_somebody_without_the_right_is_denied(as_nobody: Callable[..., str]) -> None:
    assert as_nobody().startswith("libvirt.denied libvirt failed at a connection: ")


def test_a_member_of_the_group_sees_guests_with_their_configuration(as_nobody: Callable[..., str]) -> None:
    assert as_nobody(f"--groups={grp.getgrnam('daemon').gr_gid}") == "win11 off <domain\n"
