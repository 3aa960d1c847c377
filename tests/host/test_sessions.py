"""logind sessions. The texts are what loginctl of systemd 252 (Debian 12) prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vfioctl.errors import StepFailed, VfioctlError
from vfioctl.host.model import Session
from vfioctl.host.properties import blocks

if TYPE_CHECKING:
    from host_tree import Tree

GREETER = (
    "Id=c1\\nUser=113\\nName=lightdm\\nTTY=\\nRemote=no\\nService=lightdm-greeter\\nScope=session-c1.scope\\n"
    "Leader=901\\nSeat=seat0\\nType=x11\\nClass=greeter\\nState=active\\n"
)
SSH = (
    "Id=4\\nUser=1000\\nName=ada\\nTTY=pts/0\\nRemote=yes\\nService=sshd\\nScope=session-4.scope\\n"
    "Leader=1234\\nSeat=\\nType=tty\\nClass=user\\nState=active\\n"
)


def loginctl(tree: Tree, listed: str, shown: str) -> None:
    tree.with_systemd()
    look = f'case "$1" in list-sessions) {listed};; *) {shown};; esac'
    tree.program("loginctl", f'echo "$1" >> {tree.root}/calls\n{look}')


def test_sessions_are_read_with_two_programs(tree: Tree) -> None:
    loginctl(tree, "printf ' c1 113 lightdm seat0 \\n  4 1000 ada       pts/0\\n'", f"printf '{GREETER}\\n{SSH}'")
    host = tree.host()
    assert host.sessions() == (
        Session(
            "c1", "lightdm", 113, "seat0", "x11", "greeter", "active", 901, "lightdm-greeter",
            scope="session-c1.scope",
        ),
        Session(
            "4", "ada", 1000, "", "tty", "user", "active", 1234, "sshd", remote=True, tty="pts/0",
            scope="session-4.scope",
        ),
    )  # fmt: skip
    assert host.sessions()
    assert (tree.root / "calls").read_text().split() == ["list-sessions", "show-session"]


def test_a_host_without_sessions_has_none(tree: Tree) -> None:
    loginctl(tree, ":", "exit 1")
    assert tree.host().sessions() == ()


def test_a_session_that_ends_between_list_and_look_is_looked_at_again(tree: Tree) -> None:
    once = f"if [ -e {tree.root}/gone ]; then echo c1; else echo 'c1\n9'; : > {tree.root}/gone; fi"
    loginctl(tree, once, f'case "$*" in *9*) echo "No session 9 known" >&2; exit 1;; *) printf "{GREETER}";; esac')
    assert [session.id for session in tree.host().sessions()] == ["c1"]


@pytest.mark.parametrize(("listed", "shown"), [("echo down >&2; exit 1", ":"), ("echo c1", "echo down >&2; exit 1")])
def test_a_logind_that_does_not_answer_is_an_error_that_quotes_it(tree: Tree, listed: str, shown: str) -> None:
    loginctl(tree, listed, shown)
    with pytest.raises(VfioctlError, match="down") as caught:
        tree.host().sessions()
    assert caught.value.code == "session.unreadable"


def test_a_missing_loginctl_is_an_error(tree: Tree) -> None:
    tree.with_systemd()
    with pytest.raises(StepFailed):
        tree.host().sessions()


def test_malformed_numbers_and_missing_properties_are_empty(tree: Tree) -> None:
    loginctl(tree, "echo c1", "printf 'Id=c1\\nUser=many\\nLeader=\\n'")
    (session,) = tree.host().sessions()
    assert (session.uid, session.leader, session.seat, session.klass, session.remote) == (0, 0, "", "", False)


def test_a_block_without_id_is_no_session(tree: Tree) -> None:
    loginctl(tree, "echo c1", "printf 'Name=x\\n\\nId=c2\\n'")
    assert [session.id for session in tree.host().sessions()] == ["c2"]


@given(st.text(max_size=300))
def test_no_text_of_properties_raises(text: str) -> None:
    assert all(block for block in blocks(text))


def test_a_loginctl_that_says_nothing_of_listed_sessions_is_an_error_not_an_empty_host(tree: Tree) -> None:
    loginctl(tree, "echo c1", ":")
    with pytest.raises(VfioctlError) as caught:
        tree.host().sessions()
    assert caught.value.code == "session.unreadable"
