"""`vfioctl guest clone`: another guest like one that is off, with disks of its own."""

from __future__ import annotations

import os
import uuid
from functools import partial
from typing import TYPE_CHECKING

import click

from vfioctl.plugin import (
    Message,
    OperationRequest,
    Refused,
    Result,
    changing,
    guest_firmware,
    guest_names,
    guest_tpm,
    guest_tpm_state,
    pool_names,
)
from vfioctl_guest.clone import Draft, New, draft, new_nvram
from vfioctl_guest.copies import copies_of
from vfioctl_guest.life import PLUGIN, find, must_be_off
from vfioctl_guest.names import NOTHING_CHANGED, check_new, typed

if TYPE_CHECKING:
    from vfioctl.plugin import Call
    from vfioctl_guest.life import Subject


@click.command()
@click.argument("name", shell_complete=guest_names)
@click.argument("new")
@click.option("--linked/--full", default=False, help="Share the template that the disks lie above; or copy that, too.")
@click.option("--pool", default="", metavar="POOL", shell_complete=pool_names,
              help="The pool of its disks; that of each unless given.")
@click.option("--with-devices", is_flag=True, help="Let it have the devices of the host, too.")
@click.option("--new-tpm", is_flag=True, help="Let it have a new TPM, without a copy of the keys in that of NAME.")
@changing
@click.pass_obj
def clone(
    call: Call, name: str, new: str, node: str, *, linked: bool, pool: str, with_devices: bool, new_tpm: bool,
    dry_run: bool,
) -> Result:  # fmt: skip
    """Make the guest NEW as the guest NAME is, which is off, with a UUID, MACs and disks of its own.

    The disks are whole copies. With --linked only what was written since the template is copied, and the template is
    shared; that is refused where a disk lies above one that can change. NVRAM and the state of a TPM are copied, too.
    Snapshots, media in drives and devices of the host do not come with it.
    """
    check_new(new)
    call.need_uncordoned(node)
    with call.connection(node) as connection:
        about = find(call, connection, name)
        must_be_off(about, "its disks are copied while it is off")
        chosen = _chosen(call, about, new, devices=with_devices, new_tpm=new_tpm)
        if linked:
            _must_be_here(call, about, "A linked copy is made of files")
        copies = copies_of(call, connection, about, new, pool, linked=linked)
        where = typed(new, connection.node)
    made = draft(about, chosen, copies)
    return _performed(call, about, made, chosen, where, dry_run=dry_run)


def _chosen(call: Call, about: Subject, name: str, *, devices: bool, new_tpm: bool) -> New:
    """Raises Refused("guest.tpm", "guest.elsewhere")."""
    uid, former = str(uuid.uuid4()), guest_firmware(about.guest.xml).nvram
    tpm = _tpm(call, about, new=new_tpm)
    if not former:
        return New(name, uid, devices=devices, tpm=tpm)
    _must_be_here(call, about, "NVRAM is copied as a file")
    return New(name, uid, new_nvram(former, name, uid), _there(call, former), devices, tpm)


def _tpm(call: Call, about: Subject, *, new: bool) -> str:
    """The file with the state that is to be copied, "" for none. Raises Refused("guest.tpm", "guest.elsewhere")."""
    if guest_tpm(about.guest.xml) != "emulator":
        return ""
    state = guest_tpm_state(about.guest.xml)
    if f"/{about.guest.uuid}/" not in state:
        raise Refused(
            "guest.tpm", f"The configuration of guest {about.name} says where the state of its TPM is: two guests "
            "would write to it.", state=NOTHING_CHANGED,
            hints=("Take <source> from its <tpm> with `virsh edit`, and move the state to where libvirt keeps it.",),
        )  # fmt: skip
    if new:
        return ""
    _must_be_here(call, about, "The state of a TPM is copied as a file; with --new-tpm it is not")
    return _there(call, state)


def _there(call: Call, path: str) -> str:
    """The path of a file that there is; "" for none: a guest that never ran has neither NVRAM nor state of a TPM."""
    there = call.paths.at(path)
    return path if call.host().ask(there, partial(os.path.lexists, there)) else ""


def _must_be_here(call: Call, about: Subject, why: str) -> None:
    """Raise Refused("guest.elsewhere"), and where it is not root's to do."""
    if not about.local:
        said = f"{why}, and {about.name} is on {about.node}."
        hint = f"Run it on {about.node}, without --node."
        raise Refused("guest.elsewhere", said, state=NOTHING_CHANGED, hints=(hint,))
    call.need_root()


def _performed(call: Call, about: Subject, made: Draft, new: New, where: str, *, dry_run: bool) -> Result:
    request = OperationRequest(
        plugin=PLUGIN, operation="guest clone", subject=f"guest:{new.name}", key=str(uuid.uuid4()),
        proposals=made.steps, contents=made.contents, notes={"uuid": new.uuid, "expects": []},
    )  # fmt: skip
    result = call.perform(request, dry_run=dry_run)
    shown = {"name": new.name, "uuid": new.uuid, "node": about.node, "of": about.name, "nvram": new.nvram}
    ended = Result(
        data={**result.data, "guest": {**shown, "disks": list(made.disks)}, "xml": made.xml if dry_run else ""},
        messages=result.messages, errors=result.errors, exit_status=result.exit_status,
    )  # fmt: skip
    if result.exit_status:
        return ended
    off = () if dry_run else (Message(f"Guest {new.name} is off.", hint=f"Start it with: vfioctl guest start {where}"),)
    return ended.saying(*map(Message, made.left), *off)
