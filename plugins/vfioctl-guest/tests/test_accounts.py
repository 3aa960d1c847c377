"""Passwords and SSH keys of the users of a guest whose agent is played here."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from vfioctl_guest.accounts import authorized
from vfioctl_guest.commands import passwd as passwd_verb
from vfioctl_guest.commands import ssh_key
from vfioctl_guest.reach_views import added, keys, passwd, removed

from vfioctl.plugin import Refused, Result, VfioctlError

AGENT = "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0' state='{}'/></channel>"
XML = f"<domain><devices>{AGENT}</devices></domain>"
HASH = "$6$salt$" + "a" * 86
SECRET = "open sesame"  # what must be said nowhere


def key(letter: bytes, comment: str = "") -> str:
    """A public key, whose data are `letter` throughout."""
    parts = (b"ssh-ed25519", letter * 32)
    data = base64.b64encode(b"".join(len(part).to_bytes(4, "big") + part for part in parts)).decode()
    return f"ssh-ed25519 {data} {comment}".rstrip()


ADA, BOB = key(b"a", "ada@laptop"), key(b"b", "bob")


class Guest:
    """A guest as a call finds it, with what its agent has in authorized_keys."""

    def __init__(self, *lines: str) -> None:
        self.lines = list(lines)
        self.passwords: list[tuple[str, str, bool]] = []
        self.writes = 0
        self.is_deaf = False
        self.state, self.agent = "running", "connected"

    @property
    def about(self) -> Any:
        guest = SimpleNamespace(uuid="u", name="web", state=self.state, live_xml=XML.format(self.agent))
        return SimpleNamespace(guest=guest, name="web", node="tank", uri="", called="web --node tank")

    def add(self, _connection: Any, _uuid: str, _user: str, lines: list[str]) -> None:
        self.writes += 1
        self.lines += () if self.is_deaf else lines

    def remove(self, _connection: Any, _uuid: str, _user: str, lines: list[str]) -> None:
        """As qemu-ga compares them: whole lines."""
        self.writes += 1
        self.lines = [line for line in self.lines if self.is_deaf or line not in lines]

    def set_password(self, _connection: Any, _uuid: str, user: str, secret: str, *, is_hashed: bool) -> None:
        self.passwords.append((user, secret, is_hashed))


class Call:
    def connection(self, _node: str) -> Any:
        return nullcontext()

    def host(self) -> Any:
        return SimpleNamespace(ask=lambda _path, work: work())


@pytest.fixture
def guest(monkeypatch: pytest.MonkeyPatch) -> Iterator[Guest]:
    made = Guest(ADA)
    for module in (ssh_key, passwd_verb):
        monkeypatch.setattr(module, "find", lambda *_: made.about)
    monkeypatch.setattr(ssh_key, "read_authorized_keys", lambda *_: tuple(made.lines))
    monkeypatch.setattr(ssh_key, "add_authorized_keys", made.add)
    monkeypatch.setattr(ssh_key, "remove_authorized_keys", made.remove)
    monkeypatch.setattr(passwd_verb, "set_guest_password", made.set_password)
    return made


def done(verb: Any, user: str = "ada", **given: Any) -> Result:
    result: Result = verb.callback.__wrapped__(Call(), "web", node="tank", user=user, **given)
    return result


def refused(verb: Any, user: str = "ada", **given: Any) -> tuple[str, str]:
    with pytest.raises(Refused) as caught:
        done(verb, user, **given)
    return caught.value.code, f"{caught.value} {caught.value.hints}"


@pytest.fixture
def file(tmp_path: Path) -> Any:
    def made(*lines: str) -> str:
        path = tmp_path / "given"
        path.write_text("".join(f"{line}\n" for line in lines))
        return str(path)

    return made


# Passwords


def test_a_password_reaches_the_agent_alone(guest, file) -> None:
    result = done(passwd_verb.passwd, password=file(SECRET), hashed="")
    assert guest.passwords == [("ada", SECRET, False)]
    assert SECRET not in repr(result)
    assert list(passwd(result.data)) == ["User ada of guest web has the new password."]


def test_a_hash_is_told_to_be_one_and_what_is_none_is_refused_without_being_shown(guest, file) -> None:
    done(passwd_verb.passwd, password="", hashed=file(HASH))
    assert guest.passwords == [("ada", HASH, True)]
    code, said = refused(passwd_verb.passwd, password="", hashed=file(SECRET))
    assert (code, SECRET in said) == ("guest.account", False)


@pytest.mark.parametrize("given", [{"password": "", "hashed": ""}, {"password": "a", "hashed": "b"}])
def test_a_password_comes_from_one_file(guest, given) -> None:
    assert refused(passwd_verb.passwd, **given)[0] == "guest.account"


@pytest.mark.parametrize("user", ["", "a:b", "a\nb"])
def test_a_user_who_would_be_two_fields_is_refused(guest, file, user: str) -> None:
    assert refused(passwd_verb.passwd, user, password=file(SECRET), hashed="")[0] == "guest.account"
    assert refused(ssh_key.listed, user)[0] == "guest.account"
    assert not guest.passwords


def test_two_lines_are_no_password_and_are_not_shown(guest, file) -> None:
    code, said = refused(passwd_verb.passwd, password=file(SECRET, SECRET), hashed="")
    assert (code, SECRET in said) == ("guest.account", False)


@pytest.mark.parametrize(
    ("state", "agent", "code"),
    [("off", "connected", "guest.off"), ("paused", "connected", "guest.paused"), ("running", "", "guest.no_agent")],
)
def test_it_needs_a_guest_that_runs_and_its_agent(guest, file, state: str, agent: str, code: str) -> None:
    guest.state, guest.agent = state, agent
    assert refused(passwd_verb.passwd, password=file(SECRET), hashed="")[0] == code
    assert refused(ssh_key.listed)[0] == code
    assert not guest.passwords


# Keys


def test_a_fingerprint_is_that_of_ssh_keygen() -> None:
    """The first host key that GitHub publishes, and what it publishes as its fingerprint."""
    line = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"
    assert authorized(line).fingerprint == "SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU"


def test_options_before_a_key_and_lines_that_are_none_are_told_apart() -> None:
    found = authorized(f'command="echo a b",no-pty  {ADA}')
    assert (found.options, found.kind, found.comment) == ('command="echo a b",no-pty', "ssh-ed25519", "ada@laptop")
    assert found.fingerprint == authorized(ADA).fingerprint
    assert authorized("nothing of ours").row["fingerprint"] == ""


def test_the_list_shows_type_fingerprint_and_comment(guest) -> None:
    guest.lines.append("nothing of ours")
    (table,) = keys(done(ssh_key.listed).data)
    assert table.rows == (
        ("ssh-ed25519", authorized(ADA).fingerprint, "ada@laptop", "-"), ("-", "-", "nothing of ours", "-"),
    )  # fmt: skip


def test_what_is_there_already_is_not_added_again(guest, file) -> None:
    result = done(ssh_key.add, files=(file(key(b"a", "another comment"), BOB, BOB),))
    assert guest.lines == [ADA, BOB]
    assert list(added(result.data)) == [f"User ada of guest web has {authorized(BOB).fingerprint} (bob)."]
    assert [message.text for message in result.messages] == [f"{authorized(ADA).fingerprint} is there already."]
    done(ssh_key.add, files=(file(BOB),))
    assert guest.writes == 1


def test_a_private_key_is_refused_by_name(guest, file) -> None:
    path = file("-----BEGIN OPENSSH PRIVATE KEY-----", "c2VjcmV0")
    for verb, given in ((ssh_key.add, {}), (ssh_key.remove, {"prints": ()})):
        code, said = refused(verb, files=(path,), **given)
        assert code == "guest.ssh_key"
        assert f"{path}.pub" in said
    assert not guest.writes


@pytest.mark.parametrize("by_file", [True, False])
def test_a_key_goes_whatever_stands_around_it_in_the_guest(guest, file, by_file) -> None:
    guest.lines[:] = [f"no-pty {ADA}", BOB, ADA]
    bare = key(b"a")
    files, prints = ((file(bare),), ()) if by_file else ((), (authorized(bare).fingerprint,))
    result = done(ssh_key.remove, files=files, prints=prints)
    assert guest.lines == [BOB]
    said = f"User ada of guest web does not have {authorized(ADA).fingerprint} (ada@laptop) any more."
    assert list(removed(result.data)) == [said, said]


def test_a_key_that_is_not_there_is_named_and_none_is_removed(guest, file) -> None:
    code, said = refused(ssh_key.remove, files=(file(ADA, BOB),), prints=())
    assert (code, guest.lines) == ("guest.no_key", [ADA])
    assert authorized(BOB).fingerprint in said
    assert authorized(ADA).fingerprint not in said


@pytest.mark.parametrize("given", [(), ("",), ("MD5:aa",)])
def test_what_names_no_key_removes_none(guest, given) -> None:
    guest.lines.append("nothing of ours")
    assert refused(ssh_key.remove, files=(), prints=given)[0] == "guest.account"
    assert not guest.writes


@pytest.mark.parametrize(("verb", "line", "given"), [(ssh_key.add, BOB, {}), (ssh_key.remove, ADA, {"prints": ()})])
def test_an_agent_that_agrees_and_changes_nothing_is_found_out(guest, file, verb, line: str, given) -> None:
    guest.is_deaf = True
    with pytest.raises(VfioctlError) as caught:
        done(verb, files=(file(line),), **given)
    assert caught.value.code == "guest.keys_differ"
