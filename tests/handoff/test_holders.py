"""Who may be made to let go: the core's policy, whatever a plugin promises."""

from __future__ import annotations

from vfioctl.handoff.holders import Policy, holder_findings
from vfioctl.host.model import Holder, Session
from vfioctl.txn.step import Frees

CARD = "0000:01:00.0"


def holder(pid=500, **fields):
    return Holder(pid=pid, start_time=7, comm="Xorg", nodes=("/dev/dri/card0",), addresses=(CARD,), **fields)


def session(identifier="c1", klass="greeter", seat="seat0", **fields):
    known = {"user": "lightdm", "uid": 110, "type": "x11", "state": "active", "leader": 400, **fields}
    return Session(id=identifier, klass=klass, seat=seat, **known)


def codes(holders, releases=(), **policy):
    return [finding.code for finding in holder_findings(holders, releases, Policy(**policy))]


def test_an_unreleased_holder_blocks_with_its_pid_and_unit():
    (finding,) = holder_findings([holder(unit="ollama.service")], [], Policy())
    assert finding.code == "holder.alive"
    assert "500 (Xorg) of ollama.service" in finding.message


def test_another_guest_is_named_and_nobody_is_told_to_end_its_process():
    (finding,) = holder_findings([holder(unit="libvirtd.service")], [], Policy(guests={500: "my guest"}))
    assert finding.code == "holder.alive"
    assert "guest my guest, which runs" in finding.message
    assert finding.hint == "Shut that guest down first, with: virsh shutdown 'my guest'"


def test_pid_1_and_logind_are_tolerated():
    assert codes([holder(pid=1), holder(unit="systemd-logind.service")]) == []


def test_a_unit_may_be_stopped_only_when_it_is_listed():
    held, release = [holder(unit="ollama.service")], [Frees(unit="ollama.service")]
    assert codes(held, release) == ["holder.alive"]
    assert codes(held, release, units=frozenset({"ollama.service"})) == []


def test_a_greeter_is_ended_freely():
    assert codes([holder(session="c1")], [Frees(session="c1")], sessions=(session(),)) == []


def test_a_users_session_blocks_until_the_guest_file_allows_it():
    user = session("2", klass="user", user="ada")
    held, release = [holder(session="2")], [Frees(session="2")]
    (finding,) = holder_findings(held, release, Policy(sessions=(user,), guest="win11"))
    assert finding.code == "session.active"
    assert "session 2 of user ada" in finding.message
    assert codes(held, release, sessions=(user,), end_sessions=True) == []


def test_a_remote_session_is_never_ended():
    rescue = session("3", klass="user", seat="", remote=True)
    found = codes([holder(session="3")], [Frees(session="3")], sessions=(rescue,), end_sessions=True)
    assert found == ["holder.alive"]


def test_a_session_on_a_tty_that_holds_the_card_counts_as_graphical():
    sway = session("4", klass="user", seat="", type="tty")
    assert codes([holder(session="4")], [Frees(session="4")], sessions=(sway,), end_sessions=True) == []


def test_a_user_unit_is_released_only_by_its_own_user():
    held = [holder(user_unit="pipewire.service", uid=1000)]
    user = session("2", klass="user", uid=1000)
    assert codes(held, [Frees(unit="pipewire.service", uid=1000)], sessions=(user,)) == []
    assert codes(held, [Frees(unit="pipewire.service", uid=1001)], sessions=(user,)) == ["holder.alive"]


def test_a_pid_that_was_used_again_is_not_released():
    user = session("2", klass="user")
    held = [holder(session="2")]
    assert codes(held, [Frees(pid=500, start_time=8)], sessions=(user,), end_sessions=True) == ["holder.alive"]
    assert codes(held, [Frees(pid=500, start_time=7)], sessions=(user,), end_sessions=True) == []


def test_a_process_in_a_container_is_named_with_it():
    (finding,) = holder_findings([holder(container="docker-abc")], [], Policy())
    assert "in container docker-abc" in finding.message


def test_what_would_end_with_a_session_that_is_named_already_is_not_said_again():
    ada = session("2", klass="user", user="ada", uid=1000)
    known = {"sessions": (ada,), "units": frozenset({"lightdm.service"})}
    held = [holder(session="2"), holder(unit="lightdm.service"), holder(user_unit="kwin.service", uid=1000)]
    policy = Policy(**known)
    assert len(list(holder_findings(held, [], policy))) == 3
    assert list(holder_findings(held, [], policy, session_named=True)) == []


def test_what_no_end_of_a_session_would_end_is_said_beside_the_named_session():
    ada = session("2", klass="user", user="ada", uid=1000)
    rescue = session("3", klass="user", seat="", remote=True, user="ada", uid=1000)
    held = [
        holder(5, session="3"), holder(2, unit="ollama.service"), holder(3, container="77aa"),
        holder(4, user_unit="x.service", uid=7),
    ]  # fmt: skip
    found = list(holder_findings(held, [], Policy(sessions=(ada, rescue)), session_named=True))
    pids = [finding.message.split("process ")[1].split()[0] for finding in found]
    assert pids == ["5", "2", "3", "4"]
