"""The ways into a guest: what is said of its display, and the command lines of ssh and viewers."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
from vfioctl_guest.commands import exec as exec_verb
from vfioctl_guest.commands import ssh as ssh_verb
from vfioctl_guest.commands import vnc as vnc_verb
from vfioctl_guest.reach_views import display, login, ran
from vfioctl_guest.ways import Display, display_of, is_there_alone, jump, tunnel

from vfioctl.plugin import GuestAddress, GuestAddresses, GuestRun, Refused, VfioctlError

HERE = "qemu:///system"
THERE = "qemu+ssh://root@tank:2222/system"
UUID = "a51f4e2c-0000-4000-8000-000000000001"
XML = "<domain><devices>{}</devices></domain>"
VNC = "<graphics type='vnc' port='5901' listen='127.0.0.1'><listen type='address' address='127.0.0.1'/></graphics>"


@pytest.mark.parametrize(
    ("told", "uri", "found"),
    [
        ("vnc 127.0.0.1:5901", HERE, Display("vnc", "127.0.0.1", 5901)),
        ("vnc 0.0.0.0:5901", THERE, Display("vnc", "tank", 5901)),
        ("spice :::5902", THERE, Display("spice", "tank", 5902)),
        ("vnc :5900", HERE, Display("vnc", "127.0.0.1", 5900)),
        ("spice /run/spice.sock", HERE, Display("spice", socket="/run/spice.sock")),
        ("spice", HERE, None),
        ("sdl", HERE, None),
    ],
)
def test_a_display_has_the_place_where_a_viewer_reaches_it(told: str, uri: str, found: Display | None) -> None:
    assert display_of(told, uri) == found


def test_only_a_loopback_or_a_socket_of_another_node_needs_a_tunnel() -> None:
    loopback, socket = Display("vnc", "127.0.0.1", 5901), Display("vnc", socket="/s")
    open_ = Display("vnc", "tank", 5901)
    assert [is_there_alone(one, THERE) for one in (loopback, socket, open_)] == [True, True, False]
    assert not any(is_there_alone(one, HERE) for one in (loopback, socket))
    assert tunnel(loopback, THERE) == ("ssh", "-N", "-L", "5901:127.0.0.1:5901", "-p", "2222", "root@tank")
    assert tunnel(socket, "qemu+tls://tank/system") == ("ssh", "-N", "-L", "5900:/s", "tank")


def test_the_way_to_a_guest_leads_over_a_node_that_is_reached_by_ssh() -> None:
    assert jump(THERE) == ("-J", "root@tank:2222")
    assert jump(HERE) == jump("qemu+tls://tank/system") == ()


class Asked:
    """A call whose guest runs on the node at `uri`, with these devices."""

    def __init__(self, uri: str, devices: str = VNC) -> None:
        guest = SimpleNamespace(uuid=UUID, name="web", state="running", live_xml=XML.format(devices))
        self.about = SimpleNamespace(guest=guest, name="web", node="tank", uri=uri, called="web --node tank")

    def connection(self, _node: str) -> Any:
        return nullcontext()


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The result of a command, its callback called as click does."""

    def called(module: Any, verb: Any, uri: str, *, devices: str = VNC, addresses: Any = None, **given: Any) -> Any:
        asked = Asked(uri, devices)
        monkeypatch.setattr(module, "find", lambda *_: asked.about)
        if addresses is not None:
            monkeypatch.setattr(module, "read_addresses", lambda *_: addresses)
        return verb.callback.__wrapped__(asked, "web", node="tank", **given)

    return called


FOUND = GuestAddresses((GuestAddress("10.0.0.7", 24, "ipv4", "52:54:00:00:00:01", "lease"),))


def test_ssh_goes_to_the_surest_address_and_keeps_the_host_key_for_the_guest(ask) -> None:
    given = {"user": "admin", "identity": "/keys/one", "command": ("uptime", "-p")}
    result = ask(ssh_verb, ssh_verb.ssh, THERE, addresses=FOUND, **given)
    assert result.session.argv == (
        "ssh", "-o", f"HostKeyAlias={UUID}", "-J", "root@tank:2222", "-i", "/keys/one", "-l", "admin", "--", "10.0.0.7",
        "uptime", "-p",
    )  # fmt: skip
    assert result.data["argv"] == list(result.session.argv)
    assert list(login(result.data)) == ["Guest web is reached at 10.0.0.7, as its lease says."]


def test_ssh_to_a_guest_without_an_address_says_who_was_asked(ask) -> None:
    nowhere = GuestAddresses(silent=("its agent is not connected",))
    with pytest.raises(VfioctlError, match="its agent is not connected"):
        ask(ssh_verb, ssh_verb.ssh, HERE, addresses=nowhere, user=None, identity=None, command=())


def test_a_viewer_is_the_first_that_is_installed(ask) -> None:
    session = ask(vnc_verb, vnc_verb.vnc, HERE, opened=True).session
    assert session.argv == ("virt-viewer", "--connect", HERE, UUID)
    assert session.others == (("remote-viewer", "vnc://127.0.0.1:5901"), ("vncviewer", "127.0.0.1::5901"))
    assert ask(vnc_verb, vnc_verb.vnc, HERE, opened=False).session is None


def test_a_display_on_the_loopback_of_another_node_names_its_tunnel_and_is_not_opened(ask) -> None:
    told = list(display(ask(vnc_verb, vnc_verb.vnc, THERE, opened=False).data))
    assert "ssh -N -L 5901:127.0.0.1:5901 -p 2222 root@tank" in told[1]
    with pytest.raises(Refused) as caught:
        ask(vnc_verb, vnc_verb.vnc, THERE, opened=True)
    assert caught.value.code == "guest.no_display"


def test_a_guest_without_a_display_is_sent_to_its_console(ask) -> None:
    with pytest.raises(Refused) as caught:
        ask(vnc_verb, vnc_verb.vnc, HERE, devices="", opened=False)
    assert caught.value.hints == ("Open its serial console with: vfioctl guest console web --node tank",)


AGENT = "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0' state='connected'/></channel>"


@pytest.mark.parametrize(("status", "signal", "ours"), [(0, 0, 0), (3, 0, 3), (0, 9, 137)])
def test_a_program_in_a_guest_ends_ours_as_it_has_ended(ask, monkeypatch, status, signal, ours) -> None:
    ended = GuestRun(7, status, signal, b"one\ntwo\n", b"oh\n", is_cut=True)
    monkeypatch.setattr(exec_verb, "run_in_guest", lambda *_, limit: ended)
    result = ask(exec_verb, exec_verb.exec_, HERE, devices=AGENT, program=("/bin/one", "two"), timeout=5.0)
    assert result.exit_status == ours
    assert list(ran(result.data)) == ["one", "two", "oh"]
    assert [message.level for message in result.messages] == ["warning"]
