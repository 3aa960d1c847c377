"""`vfioctl guest rename`: another name for a guest, and for what this host keeps under its name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vfioctl.plugin import Message, Refused, changing, guest_firmware, guest_names, replace
from vfioctl_guest.life import Doing, must_be_off, perform, step, subject
from vfioctl_guest.moves import Moves, moves, new_nvram
from vfioctl_guest.names import NOTHING_CHANGED, check_new

if TYPE_CHECKING:
    from vfioctl.plugin import Call, Result, StepProposal
    from vfioctl_guest.life import Subject


@click.command()
@click.argument("name", shell_complete=guest_names)
@click.argument("new")
@changing
@click.pass_obj
def rename(call: Call, name: str, new: str, node: str, *, dry_run: bool) -> Result:
    """Call the guest NAME, which is off, NEW from now on.

    Its snapshots, its NVRAM, its file in /etc/vfioctl/guests and what vfioctl has pinned of its devices come with it.
    Its UUID, its MACs and its disks keep theirs.
    """
    about = subject(call, name, node)
    must_be_off(about, "it is renamed while it is off")
    check_new(new)
    _must_bring_nvram(call, about)
    if about.managed:
        call.need_root()
    here = about.local and call.administers
    kept = moves(call, about, new) if here else Moves()
    renamed = step(about, "domain.rename", f"it is to be called {new}", name=new, former=about.name)
    result = perform(call, about, _in_order(kept, renamed), Doing("rename", dry_run, contents=kept.contents))
    return result if here or result.exit_status else result.saying(*_stays(about, new))


def _must_bring_nvram(call: Call, about: Subject) -> None:
    """Raise Refused("guest.elsewhere", "not_root") where nobody could move what libvirt finds by the name alone.

    Its next start would make another one, and leave this one to the next guest of its former name.
    """
    firmware = guest_firmware(about.guest.xml)
    if firmware.named or not firmware.nvram:
        return
    if not about.local:
        said = f"libvirt finds the NVRAM of guest {about.name} by its name, and only root on {about.node} moves that."
        hint = f"Run it on {about.node}, without --node."
        raise Refused("guest.elsewhere", said, state=NOTHING_CHANGED, hints=(hint,))
    call.need_root()


def _in_order(kept: Moves, renamed: StepProposal) -> tuple[StepProposal, ...]:
    """One after the other: what is removed goes last."""
    steps = (*kept.before, renamed, *kept.after)
    return tuple(replace(one, after=tuple(before.id for before in steps[:at])) for at, one in enumerate(steps))


def _stays(about: Subject, new: str) -> tuple[Message, ...]:
    """What only root on its node can move."""
    if not new_nvram(about, new):
        return ()
    nvram = guest_firmware(about.guest.xml).nvram
    return (Message(f"Its NVRAM is still called {nvram}: only root on its node moves that.", "warning"),)
