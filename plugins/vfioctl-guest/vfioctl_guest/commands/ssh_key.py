"""`vfioctl guest ssh-key`: who may log in as a user of a running guest, as its agent reads and changes it.

One change is one call of the agent, so nothing is half-done, and there is no operation to undo.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vfioctl.plugin import (
    Message,
    Refused,
    Result,
    VfioctlError,
    add_authorized_keys,
    guest_names,
    on_node,
    read_authorized_keys,
    remove_authorized_keys,
)
from vfioctl_guest.accounts import CODE, authorized, check_fingerprint, check_user, once
from vfioctl_guest.life import find, must_have_agent
from vfioctl_guest.names import NOTHING_CHANGED
from vfioctl_guest.seed.keys import public_keys
from vfioctl_guest.seed.reading import no
from vfioctl_guest.ssh_keys.places import key_names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from vfioctl.plugin import Call, Connection
    from vfioctl_guest.accounts import AuthorizedKey
    from vfioctl_guest.life import Subject

of_user = click.option("--user", required=True, metavar="USER", help="Whose; the guest has this user already.")


@click.command("list")
@click.argument("name", shell_complete=guest_names)
@of_user
@on_node
@click.pass_obj
def listed(call: Call, name: str, node: str, *, user: str) -> Result:
    """List the public SSH keys with which one may log in to the running guest NAME as USER."""
    check_user(user)
    with call.connection(node) as connection:
        about = _reached(call, connection, name)
        return _result(about, user, _there(connection, about, user))


@click.command("add")
@click.argument("name", shell_complete=guest_names)
@of_user
@click.option("--key", "files", multiple=True, required=True, metavar="FILE|NAME", shell_complete=key_names,
              help="Public SSH keys: a file, or a key that `ssh-key list` has.")
@on_node
@click.pass_obj
def add(call: Call, name: str, node: str, *, user: str, files: tuple[str, ...]) -> Result:
    """Let the public SSH keys of a file log in to the running guest NAME as USER. Those that are there stay."""
    check_user(user)
    given = once(_keys_of(call, files))
    with call.connection(node) as connection:
        about = _reached(call, connection, name)
        there = once(_there(connection, about, user))
        new = [key for print_, key in given.items() if print_ not in there]
        if new:
            add_authorized_keys(connection, about.guest.uuid, user, [key.line for key in new])
            _must_be(connection, about, user, lambda found: all(key.fingerprint in found for key in new))
    known = [Message(f"{key.fingerprint} is there already.") for print_, key in given.items() if print_ in there]
    return _result(about, user, new).saying(*known)


@click.command("remove")
@click.argument("name", shell_complete=guest_names)
@of_user
@click.option("--key", "files", multiple=True, metavar="FILE|NAME", shell_complete=key_names,
              help="Public SSH keys: a file, or a key that `ssh-key list` has.")
@click.option("--fingerprint", "prints", multiple=True, metavar="SHA256:HASH", help="As `guest ssh-key list` shows it.")
@on_node
@click.pass_obj
def remove(call: Call, name: str, node: str, *, user: str, files: tuple[str, ...], prints: tuple[str, ...]) -> Result:
    """Take public SSH keys from USER of the running guest NAME: those of a file, or by their fingerprints.

    Who is logged in stays so.
    """
    check_user(user)
    for text in prints:
        check_fingerprint(text)
    wanted = {*once(_keys_of(call, files)), *prints}
    if not wanted:
        no("Which keys? Give --key FILE, or --fingerprint as `guest ssh-key list` shows it.", CODE)
    with call.connection(node) as connection:
        about = _reached(call, connection, name)
        there = _there(connection, about, user)
        _must_have(about, user, wanted, there)
        old = [key for key in there if key.fingerprint in wanted]
        remove_authorized_keys(connection, about.guest.uuid, user, [key.line for key in old])
        _must_be(connection, about, user, lambda found: not wanted & set(found))
    return _result(about, user, old)


def _reached(call: Call, connection: Connection, name: str) -> Subject:
    """The guest, whose agent is there."""
    about = find(call, connection, name)
    must_have_agent(about)
    return about


def _keys_of(call: Call, files: tuple[str, ...]) -> list[AuthorizedKey]:
    return [authorized(line) for path in files for line in public_keys(call, path, "--key", CODE)]


def _there(connection: Connection, about: Subject, user: str) -> list[AuthorizedKey]:
    return [authorized(line) for line in read_authorized_keys(connection, about.guest.uuid, user)]


def _must_have(about: Subject, user: str, wanted: set[str], there: Iterable[AuthorizedKey]) -> None:
    missing = sorted(wanted - {key.fingerprint for key in there})
    if missing:
        hint = f"See which there are with: vfioctl guest ssh-key list {about.called} --user {user}"
        said = f"User {user} of guest {about.name} has no key {', '.join(missing)}."
        raise Refused("guest.no_key", said, state=NOTHING_CHANGED, hints=(hint,))


def _must_be(
    connection: Connection, about: Subject, user: str, holds: Callable[[dict[str, AuthorizedKey]], bool]
) -> None:
    """Raise VfioctlError("guest.keys_differ"): an agent compares lines, and answers that all is well."""
    if holds(once(_there(connection, about, user))):
        return
    raise VfioctlError(
        "guest.keys_differ", f"The agent of guest {about.name} agreed, but the keys of {user} are not as was asked.",
        hints=(f"See which there are with: vfioctl guest ssh-key list {about.called} --user {user}",),
    )  # fmt: skip


def _result(about: Subject, user: str, keys: Iterable[AuthorizedKey]) -> Result:
    rows = [key.row for key in keys]
    return Result(
        data={"guest": about.name, "uuid": about.guest.uuid, "node": about.node, "user": user, "keys": rows}
    )
