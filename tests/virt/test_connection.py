"""A connection: opened, asked and given up within its time; libvirt's errors come as ours."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from vfioctl.compose import compose
from vfioctl.errors import VfioctlError
from vfioctl.txn.machine import Machine
from vfioctl.virt import connection as module
from vfioctl.virt.connection import Connection, borrowed, connect
from vfioctl.virt.nodes import Node
from vfioctl.wait import until

pytest.importorskip("libvirt", reason="libvirt-python is not installed (docs/how-to/install.md)")

HANGS = """
import sys
from vfioctl.virt.connection import connect
from vfioctl.virt.nodes import Node
connect(Node("", sys.argv[1]), limit=0.2)
"""


@pytest.fixture
def deaf(tmp_path: Path) -> Iterator[Node]:
    """A daemon that takes connections and never says a word, as one that is stopped."""
    path = tmp_path / "sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        yield Node("local", f"qemu+unix:///system?socket={path}")


def test_it_says_which_version_is_at_the_other_end(mock: Connection) -> None:
    assert mock.version >= (9, 0, 0)


def test_a_daemon_that_does_not_answer_is_given_up(deaf: Node) -> None:
    began = time.monotonic()
    with pytest.raises(VfioctlError, match=r"libvirt did not answer within 0\.3 s: a connection") as error:
        connect(deaf, limit=0.3)
    assert (error.value.code, time.monotonic() - began < 5) == ("libvirt.unanswered", True)


@pytest.mark.skipif(shutil.which("ssh") is None, reason="ssh is not installed")
def test_an_ssh_whose_host_says_nothing_is_ended() -> None:
    with socket.create_server(("127.0.0.1", 0)) as host:
        uri = f"qemu+ssh://root@127.0.0.1:{host.getsockname()[1]}/system"
        with pytest.raises(VfioctlError, match=r"libvirt on rack7 did not answer within 0\.5 s") as error:
            connect(Node("rack7", uri), limit=0.5)
        assert (error.value.code, error.value.hints) == ("libvirt.unanswered", (f"Try: virsh -c {uri} list",))
        assert until(lambda: not any(thread.name == "libvirt" for thread in threading.enumerate()), 10)


def test_a_call_that_hangs_is_given_up(mock: Connection) -> None:
    with pytest.raises(VfioctlError) as error:
        mock.ask(lambda _libvirt: time.sleep(5), "a nap", limit=0.1)
    assert error.value.code == "libvirt.unanswered"


def test_who_watches_a_call_can_end_the_wait_for_it(mock: Connection) -> None:
    def stop() -> None:
        raise VfioctlError("engine.interrupted", "It was asked to stop.")

    began = time.monotonic()
    with pytest.raises(VfioctlError, match="asked to stop"):
        mock.ask(lambda _libvirt: time.sleep(5), "a nap", watch=stop)
    assert time.monotonic() - began < 3


def test_a_call_that_hangs_does_not_keep_the_process(deaf: Node) -> None:
    ended = subprocess.run(
        [sys.executable, "-I", "-c", HANGS, deaf.uri], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 1
    assert "did not answer within 0.2 s" in ended.stderr


def test_no_daemon_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(VfioctlError, match="libvirt does not answer: Failed to connect socket") as error:
        connect(Node("local", f"qemu+unix:///system?socket={tmp_path}/none"))
    assert (error.value.code, error.value.hints) == ("libvirt.down", ("Start it with: systemctl start libvirtd",))


def test_a_host_that_is_not_there_is_named() -> None:
    with pytest.raises(VfioctlError, match="libvirt on rack7 does not answer") as error:
        connect(Node("rack7", "qemu+tcp://127.0.0.1:1/system"))
    start, test = error.value.hints
    assert start.startswith("Start the service there: sshd, or libvirtd-tls.socket")
    assert test == "Try: virsh -c qemu+tcp://127.0.0.1:1/system list"


def test_what_libvirt_refuses_has_its_words_and_our_code(mock: Connection) -> None:
    with pytest.raises(VfioctlError, match="failed at the guest nobody: Domain not found") as error:
        mock.ask(lambda libvirt: libvirt.lookupByName("nobody"), "the guest nobody")
    assert error.value.code == "guest.unknown"


def test_what_is_no_error_of_libvirt_comes_as_it_is(mock: Connection) -> None:
    with pytest.raises(ZeroDivisionError):
        mock.ask(lambda _libvirt: 1 // 0, "a sum")


def test_a_machine_asks_over_one_connection(fake_host) -> None:
    machine = Machine(fake_host.paths, fake_host.programs)
    first = machine.libvirt("test:///default")
    assert machine.holding(3).libvirt("test:///default") is first


def test_a_check_and_the_steps_after_it_ask_over_one_connection(mock: Connection, tmp_path: Path) -> None:
    here = compose(str(tmp_path))
    here.opened[mock.node.uri] = mock
    checking = Machine.of(here.machine().host())
    assert checking.libvirt(mock.node.uri) is mock
    assert here.machine().libvirt(mock.node.uri) is mock
    assert compose(str(tmp_path)).opened == {}


def test_a_connection_whose_other_end_has_gone_is_opened_again(mock: Connection, monkeypatch) -> None:
    opened = {mock.node.uri: mock}
    assert borrowed(opened, mock.node) is mock
    monkeypatch.setattr(Connection, "is_alive", False)
    with borrowed(opened, mock.node) as second:
        assert second is not mock


def test_where_no_thread_can_be_started_any_more_it_is_left_to_the_kernel(mock: Connection, monkeypatch) -> None:
    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    connection = connect(mock.node)
    handle, opened = connection.libvirt, connection.libvirt._o
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        connection.close()
    assert handle._o is None
    handle._o = opened  # the test driver's default host lives for as long as one connection is open
    handle.close()


def test_without_the_binding_it_says_what_to_install(monkeypatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "libvirt", None)
    with pytest.raises(VfioctlError, match="libvirt-python is not installed") as error:
        module.binding()
    assert error.value.code == "libvirt.missing"
