"""`vfioctl guest console` on a real libvirtd: a guest that echoes, on a terminal and in a pipe."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from consoles import Terminal
from living import Living

from vfioctl.wait import until

pytest.importorskip("libvirt")
pytest.importorskip("vfioctl_guest")
ESCAPE = b"\x1d"
DEADLINE = 30.0


@pytest.fixture
def console(host: Any, running: Living) -> Iterator[Callable[..., Terminal]]:
    """Opens the console of the guest on a terminal, and waits until that is raw."""
    opened: list[Terminal] = []

    def open_(*options: str) -> Terminal:
        opened.append(Terminal(host, "guest", "console", running.name, *options))
        assert opened[-1].reads(b"Leave it with"), opened[-1].shown
        assert until(lambda: opened[-1].is_raw, DEADLINE)
        return opened[-1]

    yield open_
    for one in opened:
        one.close()


def test_what_is_typed_comes_back_from_the_guest_and_the_escape_leaves_it(console, running):
    terminal = console()
    assert b"Leave it with ^]." in terminal.shown
    assert b"stty rows 41 cols 121" in terminal.shown
    for key in b"echo\x03!":
        terminal.type(bytes([key]))
        assert terminal.reads(bytes([key]))
    terminal.type(ESCAPE)
    assert terminal.ended() == 0, terminal.shown
    assert b"was left, and the guest runs on" in terminal.shown
    assert terminal.mode == terminal.before
    assert running.state == "running"


def test_another_key_leaves_it_and_the_usual_one_goes_to_the_guest(console):
    terminal = console("--escape", "^a")
    terminal.type(ESCAPE)
    assert terminal.reads(ESCAPE)
    terminal.type(b"\x01")
    assert terminal.ended() == 0


@pytest.fixture
def heard(number: signal.Signals) -> Iterator[None]:
    """Below nohup, and in the background of a script, some signals are ignored, and children inherit that."""
    before = signal.signal(number, signal.SIG_DFL)
    yield
    signal.signal(number, before)


@pytest.mark.usefixtures("heard")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT])
def test_a_signal_ends_it_and_the_terminal_is_as_before(console, running, number):
    terminal = console()
    terminal.process.send_signal(number)
    assert terminal.ended() == 128 + number, terminal.shown
    assert terminal.mode == terminal.before
    assert b"Traceback" not in terminal.shown
    assert running.state == "running"


def test_it_ends_with_its_guest(console, running):
    terminal = console()
    running.host.lab.virsh("destroy", running.name)
    assert terminal.ended() == 0, terminal.shown
    assert b"is off, and its console has ended." in terminal.shown
    assert terminal.mode == terminal.before


def test_one_who_has_it_keeps_it_until_it_is_taken_by_force(console, running):
    first = console()
    said = running.refused("console")
    assert "[console.busy]" in said
    assert "--force" in said
    second = console("--force")
    assert first.ended() == 1, first.shown
    assert b"[console.lost]" in first.shown
    assert first.mode == first.before
    second.type(b"x")
    assert second.reads(b"x")


def test_a_daemon_that_dies_gives_the_terminal_back(console, running, host):
    terminal = console()
    host.lab.sigkill()
    try:
        assert terminal.ended() == 1, terminal.shown
        assert terminal.mode == terminal.before
        assert b"[console.lost]" in terminal.shown
        assert b"Traceback" not in terminal.shown
    finally:
        host.lab.start()


def test_what_the_guest_says_is_appended_to_a_file_for_its_owner_alone(console, host):
    log = host.place / "console.log"
    for key in (b"A", b"B"):
        terminal = console("--log", str(log))
        terminal.type(key)
        assert terminal.reads(key)
        terminal.type(ESCAPE)
        assert terminal.ended() == 0
    assert log.read_bytes().endswith(b"AB")
    assert log.stat().st_mode & 0o777 == 0o600


def test_a_log_that_is_a_link_is_not_followed_and_nothing_is_opened(running, host):
    target, link = host.place / "target", host.place / "link.log"
    target.write_text("kept")
    link.symlink_to(target)
    assert "[console.log]" in running.refused("console", "--log", str(link))
    assert target.read_text() == "kept"


def test_in_a_pipe_it_writes_what_the_guest_says_until_that_is_off(running, host):
    reading, writing = os.pipe()
    process = host.started("guest", "console", running.name, stdin=reading, out=subprocess.PIPE)
    os.close(reading)
    try:
        os.write(writing, b"pipe\x1d")
        assert process.stdout.read(5) == "pipe\x1d", "no key leaves a pipe"
        running.host.lab.virsh("destroy", running.name)
        assert "is off" in process.communicate(timeout=DEADLINE)[0]
        assert process.returncode == 0
    finally:
        os.close(writing)


def test_in_a_pipe_it_ends_with_its_input(running):
    assert running.cli("console", running.name).returncode == 0
    assert running.state == "running"


def test_json_says_what_would_be_opened_and_opens_nothing(running):
    for _ in range(2):
        data = running.done("console")
        assert data["console"] == {"uri": "qemu:///system", "device": "serial0", "escape": "\x1d", "log": "",
                                   "force": False}  # fmt: skip


def test_one_that_is_off_says_how_to_start_it(guest):
    assert f"vfioctl guest start {guest.name}" in guest.refused("console")


def test_one_without_a_serial_port_is_refused_with_what_shows_it_instead(running, host):
    document = host.place / "no-serial.xml"
    document.write_text((host.place / f"{running.name}.xml").read_text().replace("type='pty'", "type='null'"))
    host.lab.virsh("destroy", running.name)
    host.lab.virsh("define", str(document))
    host.lab.virsh("start", running.name)
    said = running.refused("console")
    assert "[guest.no_console]" in said
    assert "vfioctl guest screenshot" in said


def test_it_is_opened_on_another_node(console, host):
    host.must("sh", "-c", "mkdir -p /etc/vfioctl/nodes && echo 'uri = \"qemu:///system?mode=legacy\"' > "
              "/etc/vfioctl/nodes/other.toml")  # fmt: skip
    terminal = console("--node", "other")
    terminal.type(b"far")
    assert terminal.reads(b"r")


def test_an_escape_that_is_no_key_is_a_wrong_command_line(running):
    assert "expected a key such as ^]" in running.refused("console", "--escape", "leave", status=2)
