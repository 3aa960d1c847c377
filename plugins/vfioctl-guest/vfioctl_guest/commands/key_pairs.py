"""`vfioctl ssh-key`: key pairs that this host keeps, for guests that are made here. Only root changes them."""

from __future__ import annotations

import os
import uuid
from typing import TYPE_CHECKING, Any

import click

from vfioctl.plugin import (
    OperationRequest,
    Question,
    Refused,
    Result,
    StepProposal,
    Unfinished,
    argument,
    asking,
    content_name,
    make_key_store,
    new_key_pair,
)
from vfioctl_guest.names import NOTHING_CHANGED
from vfioctl_guest.seed.keys import is_key
from vfioctl_guest.seed.reading import line_of, text_of
from vfioctl_guest.ssh_keys.openssh import private_key
from vfioctl_guest.ssh_keys.places import PLACE, PUBLIC, check_name, key_names, names, path_of
from vfioctl_guest.ssh_keys.store import Key, named

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vfioctl.plugin import Call

FILE = "ssh_key.file"
DELETION = "ssh_key.unconfirmed_delete"
SIZES = {"ed25519": 0, "rsa": 4096}  # bits, where they are for somebody to choose
SMALLEST, LARGEST = 2048, 16384
dry = click.option("--dry-run", is_flag=True, help="Only say what would be done.")
commented = click.option("--comment", default="", help="What stands behind the key; else its name.")


@click.command()
@click.argument("name")
@click.option("--type", "kind", type=click.Choice(tuple(SIZES)), default="ed25519", show_default=True,
              help="What sort of key.")
@click.option("--bits", type=click.IntRange(SMALLEST, LARGEST), help="The size of an RSA key; else 4096.")
@click.option("--passphrase-file", "passphrase", default="", metavar="FILE", help="A file with its passphrase.")
@commented
@dry
@click.pass_obj
def create(
    call: Call, name: str, *, kind: str, bits: int | None, passphrase: str, comment: str, dry_run: bool
) -> Result:
    """Make the key pair NAME, which `vfioctl guest create --ssh-key NAME` gives to guests."""
    _new(call, name, comment)
    if bits and not SIZES[kind]:
        said = f"Keys of the type {kind} have one size: leave --bits out."
        raise Refused(FILE, said, state=NOTHING_CHANGED)
    secret = line_of(call, passphrase, "--passphrase-file", FILE) if passphrase else ""
    size = bits or SIZES[kind]
    made = new_key_pair(call.host().programs, kind, bits=size, comment=comment or name, passphrase=secret)
    key = Key(name, call.paths.at(path_of(name)), made.public, encrypted=bool(secret))
    return _kept(call, "create", key, made.private, dry_run=dry_run)


@click.command("import")
@click.argument("name")
@click.option("--file", required=True, metavar="FILE", help="A private key of OpenSSH, or a public one.")
@commented
@dry
@click.pass_obj
def import_(call: Call, name: str, *, file: str, comment: str, dry_run: bool) -> Result:
    """Keep a copy of the key in a file as NAME: a private one with its public half, or a public one alone.

    A passphrase stays on it. The file is left where it is.
    """
    _new(call, name, comment)
    text = text_of(call, file, "--file", FILE)
    lines = [line for line in text.splitlines() if line.strip()]
    private = private_key(text)
    if private is None and not (len(lines) == 1 and is_key(lines[0])):
        said = f"{file} is no key that can be kept: expected a private key of OpenSSH, or one public key."
        hint = f"A private key in another format is converted with: ssh-keygen -p -f {argument(file)}"
        raise Refused(FILE, said, state=NOTHING_CHANGED, hints=(hint,))
    public = f"{private.public} {comment or name}" if private else lines[0].strip()
    key = Key(name, call.paths.at(path_of(name)), public, bool(private), private.encrypted if private else None)
    return _kept(call, "import", key, text.encode() if private else b"", dry_run=dry_run)


@click.command("list")
@click.pass_obj
def listed(call: Call) -> Result:
    """List the SSH keys that this host keeps."""
    return Result(data={"keys": [named(call, name).row for name in names(call)]})


@click.command()
@click.argument("name", shell_complete=key_names)
@click.pass_obj
def show(call: Call, name: str) -> Result:
    """Show the SSH key NAME with its public half. Whether it has a passphrase only root can see."""
    return Result(data={"key": named(call, name).row})


@click.command()
@click.argument("name", shell_complete=key_names)
@asking
@dry
@click.pass_obj
def delete(call: Call, name: str, *, yes: bool, dry_run: bool) -> Result:
    """Delete both halves of the SSH key NAME. Guests that have it let its owner in as before."""
    call.need_root()
    if yes:
        call.agree(DELETION)
    key = named(call, name)
    gone = tuple(
        _gone(call, f"{path_of(name)}{end}") for end in ("", PUBLIC) if os.path.lexists(f"{key.file}{end}")
    )
    fingerprint = key.row["fingerprint"]
    lost = (f"The SSH key {name} ({fingerprint}) will be deleted. Without a copy nobody logs in with it any more.",)
    question = Question(DELETION, lost)
    return _done(call, "delete", key, gone, question=question, unfinished=Unfinished.FINISH, dry_run=dry_run)


def _new(call: Call, name: str, comment: str) -> None:
    """Raise NotRoot, Refused("ssh_key.*") where the key cannot be made."""
    call.need_root()
    check_name(name)
    if not comment.isprintable():
        raise Refused(FILE, "The comment of a key is one line.", state=NOTHING_CHANGED)
    if os.path.lexists(call.paths.at(path_of(name))) or name in names(call):
        hint = f"See it with: vfioctl ssh-key show {name}"
        said = f"There is an SSH key {name!r} already."
        raise Refused("ssh_key.exists", said, state=NOTHING_CHANGED, hints=(hint,))


def _kept(call: Call, verb: str, key: Key, private: bytes, *, dry_run: bool) -> Result:
    """The result of writing both halves: the private one for root alone."""
    make_key_store(call.paths.at(PLACE))
    halves = [("private", private, "0600", "")] if private else []
    halves.append(("public", f"{key.public}\n".encode(), "0644", PUBLIC))
    contents, steps = {}, []
    for half, content, mode, end in halves:
        blob = content_name(content)
        contents[blob] = content
        params = {"path": f"{path_of(key.name)}{end}", "blob": blob, "size": len(content), "mode": mode}
        reason = f"the {half} half of {key.name}"
        steps.append(StepProposal(id=f"guest.{half}", kind="file.write", params=params, reason=reason))
    return _done(call, verb, key, tuple(steps), contents=contents, dry_run=dry_run)


def _gone(call: Call, path: str) -> StepProposal:
    found = os.lstat(call.paths.at(path))
    params = {"path": path, "device": found.st_dev, "inode": found.st_ino}
    half = "public" if path.endswith(PUBLIC) else "private"
    return StepProposal(id=f"guest.{half}", kind="file.delete", params=params, reason=f"the {half} half goes")


def _done(
    call: Call, verb: str, key: Key, steps: tuple[StepProposal, ...], *, contents: Mapping[str, bytes] | None = None,
    question: Question | None = None, unfinished: Unfinished = Unfinished.UNDO, dry_run: bool,
) -> Result:  # fmt: skip
    request = OperationRequest(
        plugin="guest", operation=f"ssh-key {verb}", subject=f"ssh-key:{key.name}", key=str(uuid.uuid4()),
        proposals=steps, contents=contents or {}, question=question, unfinished=unfinished,
    )  # fmt: skip
    result = call.perform(request, dry_run=dry_run)
    data: dict[str, Any] = {**result.data, "key": key.row}
    return Result(data=data, messages=result.messages, errors=result.errors, exit_status=result.exit_status)
