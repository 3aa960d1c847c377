"""The users of a guest, changed through a libvirt that is played here as its domain answers."""

from __future__ import annotations

from typing import Any

import pytest

from vfioctl.errors import VfioctlError
from vfioctl.virt.accounts import (
    add_authorized_keys,
    read_authorized_keys,
    remove_authorized_keys,
    set_guest_password,
)
from vfioctl.virt.connection import Connection
from vfioctl.virt.nodes import LOCAL

libvirt = pytest.importorskip("libvirt", reason="libvirt-python is not installed (docs/how-to/install.md)")
UUID = "a51f4e2c-0000-4000-8000-000000000001"
SECRET = "open sesame"  # what must be said nowhere
LIMITED = [("time", 20), ("time", libvirt.VIR_DOMAIN_AGENT_RESPONSE_TIMEOUT_BLOCK)]


class Daemon:
    """A libvirt that is its only guest: it keeps what it was asked. `refuses` is what its agent says."""

    def __init__(self, refuses: str = "") -> None:
        self.refuses = refuses
        self.asked: list[Any] = []

    def lookupByUUIDString(self, uuid: str) -> Daemon:  # noqa: N802 -- libvirt's names
        assert uuid == UUID
        return self

    def agentSetResponseTimeout(self, seconds: int, _flags: int) -> None:  # noqa: N802
        self.asked.append(("time", seconds))

    def setUserPassword(self, user: str, secret: str, flags: int) -> int:  # noqa: N802
        return self._say("password", user, secret, flags)

    def authorizedSSHKeysGet(self, user: str, flags: int) -> list[str]:  # noqa: N802
        self._say("get", user, flags)
        return ["one", "two"]

    def authorizedSSHKeysSet(self, user: str, keys: list[str], flags: int) -> int:  # noqa: N802
        return self._say("set", user, keys, flags)

    def _say(self, *asked: Any) -> int:
        self.asked.append(asked)
        if self.refuses:
            raise libvirt.libvirtError(self.refuses)
        return 0

    def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
def daemon() -> Daemon:
    return Daemon()


@pytest.fixture
def connection(daemon: Daemon) -> Connection:
    return Connection(LOCAL, daemon)  # type: ignore[arg-type] # as much of a connection as is asked


@pytest.mark.parametrize(("is_hashed", "flags"), [(False, 0), (True, libvirt.VIR_DOMAIN_PASSWORD_ENCRYPTED)])
def test_a_hash_is_told_from_a_password(connection, daemon, is_hashed, flags) -> None:
    set_guest_password(connection, UUID, "ada", SECRET, is_hashed=is_hashed)
    assert daemon.asked == [LIMITED[0], ("password", "ada", SECRET, flags), LIMITED[1]]


def test_what_an_agent_refuses_names_the_user_and_no_secret_and_its_time_is_given_back(connection, daemon) -> None:
    daemon.refuses = "child process has failed to set user password"
    with pytest.raises(VfioctlError) as caught:
        set_guest_password(connection, UUID, "ada", SECRET, is_hashed=False)
    said = f"{caught.value} {caught.value.state} {caught.value.hints} {caught.value.__cause__}"
    assert "the password of ada" in said
    assert SECRET not in said
    assert daemon.asked[-1] == LIMITED[1]


def test_keys_are_read_and_changed_and_never_replaced_as_a_whole(connection, daemon) -> None:
    assert read_authorized_keys(connection, UUID, "ada") == ("one", "two")
    add_authorized_keys(connection, UUID, "ada", ("three",))
    remove_authorized_keys(connection, UUID, "ada", ("one",))
    assert [one for one in daemon.asked if one[0] != "time"] == [
        ("get", "ada", 0),
        ("set", "ada", ["three"], libvirt.VIR_DOMAIN_AUTHORIZED_SSH_KEYS_SET_APPEND),
        ("set", "ada", ["one"], libvirt.VIR_DOMAIN_AUTHORIZED_SSH_KEYS_SET_REMOVE),
    ]
