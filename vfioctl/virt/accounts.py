"""The users in a running guest, through libvirt and its agent: a password is set, SSH keys are read and changed.

Nothing here keeps, prints or hashes a secret. Changes no host.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from vfioctl.virt.agents import answering_within
from vfioctl.virt.connection import binding

if TYPE_CHECKING:
    from libvirt import virConnect, virDomain

    from vfioctl.virt.connection import Connection

ANSWER = 20  # seconds: what PAM does for a password may wait for a server
T = TypeVar("T")


def set_guest_password(connection: Connection, uuid: str, user: str, secret: str, *, is_hashed: bool) -> None:
    """Give `user` of the guest `uuid` the password `secret`, or that of which it is the crypt(5) hash.

    Raises VfioctlError as `Connection.ask`; the agent's words for it have the name of the user at most.
    """
    flags = binding().VIR_DOMAIN_PASSWORD_ENCRYPTED if is_hashed else 0
    _ask(connection, uuid, lambda domain: domain.setUserPassword(user, secret, flags), f"the password of {user}")


def read_authorized_keys(connection: Connection, uuid: str, user: str) -> tuple[str, ...]:
    """The lines of the authorized_keys of `user` in the guest `uuid`, none without that file.

    Raises VfioctlError as `Connection.ask`.
    """
    return tuple(_ask(connection, uuid, lambda domain: _keys_of(domain, user), f"the SSH keys of {user}"))


def _keys_of(domain: virDomain, user: str) -> list[str]:
    """The agent has no other word for a file that is not there than what its open(2) says; its locale is C."""
    try:
        found: list[str] = domain.authorizedSSHKeysGet(user, 0)
    except binding().libvirtError as error:
        if os.strerror(errno.ENOENT) in str(error):
            return []
        raise
    return found


def add_authorized_keys(connection: Connection, uuid: str, user: str, lines: Sequence[str]) -> None:
    """Append `lines` to them; the agent makes the file where there is none. Raises as `Connection.ask`."""
    _change(connection, uuid, user, lines, binding().VIR_DOMAIN_AUTHORIZED_SSH_KEYS_SET_APPEND)


def remove_authorized_keys(connection: Connection, uuid: str, user: str, lines: Sequence[str]) -> None:
    """Take `lines` out of them, each as it was read: the agent compares whole lines. Raises as `Connection.ask`."""
    _change(connection, uuid, user, lines, binding().VIR_DOMAIN_AUTHORIZED_SSH_KEYS_SET_REMOVE)


def _change(connection: Connection, uuid: str, user: str, lines: Sequence[str], flags: int) -> None:
    """Never without a flag, which would replace the whole file."""
    keys = list(lines)
    doing = f"a change of the SSH keys of {user}"
    _ask(connection, uuid, lambda domain: domain.authorizedSSHKeysSet(user, keys, flags), doing)


def _ask(connection: Connection, uuid: str, work: Callable[[virDomain], T], doing: str) -> T:
    """What `work` returns for the guest, whose agent has a time for it."""

    def ask(libvirt: virConnect) -> T:
        domain = libvirt.lookupByUUIDString(uuid)
        with answering_within(domain, ANSWER):
            return work(domain)

    return connection.ask(ask, doing)
