"""`vfioctl setup`: shows what is right, what would be changed and what is left to a person; asks; changes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vfioctl.plugin import Message, Question, Refused, Result, asking, card_addresses, read_host_record, replace
from vfioctl_setup.loaders.found import NAMES
from vfioctl_setup.preparation import COMMAND_LINE, RECORD, Prepared, Wish, prepare
from vfioctl_setup.views import row_lines
from vfioctl_setup.way_back import way_back
from vfioctl_setup.words import Asked

if TYPE_CHECKING:
    from vfioctl.plugin import Call

PLUGIN = "setup"
CODE, UNDO_CODE = "setup.unconfirmed", "setup.unconfirmed_undo"


@click.command()
@click.option("--word", "add", multiple=True, metavar="WORD", help="Put WORD on the kernel's command line, too.")
@click.option("--without", "remove", multiple=True, metavar="WORD", help="Take WORD off the kernel's command line.")
@click.option("--early", multiple=True, metavar="ADDRESS", shell_complete=card_addresses,
              help="Let vfio-pci take this card at boot, too, so that the host never has it.")  # fmt: skip
@click.option("--user", default="", metavar="NAME", help="Look whether NAME may manage guests.")
@click.option("--boot-loader", type=click.Choice(NAMES), help="The boot loader, where it is unclear which one counts.")
@click.option("--undo", is_flag=True, help="Put everything back as it was before.")
@click.option("--leave-edited", is_flag=True, help="With --undo: leave what somebody else has changed since.")
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@asking
@click.pass_obj
def setup(
    call: Call, *, add: tuple[str, ...], remove: tuple[str, ...], early: tuple[str, ...], user: str,
    boot_loader: str | None, undo: bool, leave_edited: bool, dry_run: bool, yes: bool,
) -> Result:  # fmt: skip
    """Prepare this host for giving devices to guests, or with --undo take that back.

    Looks at the IOMMU, the kernel's command line and what has to be installed, shows what is right and what would be
    changed, and asks. GRUB and systemd-boot are set; for other boot loaders the lines are printed. Everything that is
    changed was kept before: --undo puts it back byte for byte, and what somebody has edited meanwhile is named and
    never written over. With --dry-run nothing is changed.
    """
    if yes:
        call.agree(CODE, UNDO_CODE)
    if undo:
        return _take_back(call, dry_run=dry_run, leave_edited=leave_edited)
    wish = Wish(Asked(add, remove), early, user, boot_loader or "")
    return _make(call, prepare(call.host(), wish), dry_run=dry_run)


def _make(call: Call, prepared: Prepared, *, dry_run: bool) -> Result:
    rows = [row.__dict__ for row in prepared.rows]
    question = Question(CODE, tuple(row_lines(rows)))
    result = call.change_host(prepared.change, PLUGIN, question, plugin=PLUGIN, dry_run=dry_run)
    if not prepared.known and not prepared.change.edits:
        raise _unknown(prepared)
    return replace(result, data={**result.data, "parts": rows, "undo": False})


def _unknown(prepared: Prepared) -> Refused:
    """Nothing could be done, and what is to be done is for a person."""
    wanted = next(row for row in prepared.rows if row.lines and row.part == COMMAND_LINE)
    return Refused(
        "setup.boot_loader_unknown", "vfioctl does not know the boot loader of this host.",
        state="Nothing was changed.", hints=(f"What to set: {', '.join(wanted.lines)}. Where: {wanted.where}.",),
    )  # fmt: skip


def _take_back(call: Call, *, dry_run: bool, leave_edited: bool) -> Result:
    call.need_root()
    host = call.host()
    way = way_back(host, read_host_record(host.paths, RECORD))
    said = ("Everything is put back as it was before `vfioctl setup`.", *way.told)
    result = call.take_host_back(
        RECORD, PLUGIN, Question(UNDO_CODE, said), plugin=PLUGIN, dry_run=dry_run,
        leave_edited=leave_edited, instead=way.record,
    )  # fmt: skip
    told = map(Message, way.told) if dry_run else ()
    return replace(result, data={**result.data, "parts": [], "undo": True}).saying(*told)
