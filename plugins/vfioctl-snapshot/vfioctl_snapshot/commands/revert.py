"""`vfioctl snapshot revert`: a guest is as it was at a snapshot."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vfioctl.plugin import Message, Node, Result, argument, asking, changing, guest_names, new_id
from vfioctl_snapshot import inside, names, tpm
from vfioctl_snapshot.commands.work import Doing, Subject, disks_only, perform, subject, wish
from vfioctl_snapshot.create import Wish
from vfioctl_snapshot.record import INTERNAL
from vfioctl_snapshot.revert import revert as draft

if TYPE_CHECKING:
    from vfioctl.plugin import Call
    from vfioctl_snapshot.facts import Facts
    from vfioctl_snapshot.steps import Draft

LOSS = "snapshot.unconfirmed_revert"  # the question whether the present state may be lost


@click.command()
@click.argument("guest", shell_complete=guest_names)
@click.argument("name")
@click.option("--discard", is_flag=True, help="Do not keep the present state.")
@disks_only
@asking
@changing
@click.pass_obj
def revert(
    call: Call, guest: str, name: str, node: str, *, discard: bool, disks_only: bool, yes: bool, dry_run: bool
) -> Result:
    """Put GUEST, which is off, back to the snapshot NAME: its disks, its NVRAM and its TPM.

    The present state is kept first as a snapshot `before-revert-DATE`, unless --discard is given. The snapshot stays
    and can be gone back to again. The rest of the configuration of the guest is left as it is.
    """
    about = subject(call, guest, node)
    record = about.named(name)
    if yes:
        call.agree(LOSS)
    wanted = wish("", new_id(), disks_only=disks_only)
    kept = names.free(f"{names.BEFORE_REVERT}{names.stamp(wanted.now)}", about.names)
    wanted = Wish(kept, wanted.operation, wanted.now, disks_only, without=call.again("--disks-only"))
    how = Doing("revert", wanted.operation, LOSS, dry_run, finish=discard)
    copy = "" if disks_only else tpm.copy_of(about.facts, record)
    state = tpm.held(call.host(), copy) if copy in about.facts.files else None
    if record.method == INTERNAL:
        return _inside(call, about, inside.revert(about.facts, record, wanted, state), wanted, how, discard=discard)
    made = draft(about.facts, record, wanted, keep=not discard, limit=about.settings.longest_chain, state=state)
    before = made.shown["kept"]
    return _said(perform(call, about.facts, made, how), about.facts, before["name"] if before else "")


def _inside(call: Call, about: Subject, made: Draft, wanted: Wish, how: Doing, *, discard: bool) -> Result:
    """Going back needs the present state kept in any case; it is deleted afterwards where nobody wants it."""
    guest, kept = about.facts.name, inside.kept_name(wanted)
    if discard:
        lines = (f"The present state of guest {guest} is lost, with all that was written since it was last kept.",)
        if not how.dry_run:
            call.need_agreement(LOSS, lines)
    result = perform(call, about.facts, made, how)
    if not discard or how.dry_run or result.exit_status:
        return _said(result, about.facts, kept)
    call.agree(LOSS)
    now = subject(call, guest, about.facts.node)
    deletion = inside.delete(now.facts, (now.named(kept),))
    gone = perform(call, now.facts, deletion, Doing("delete", new_id(), LOSS, finish=True))
    return Result(
        data=result.data, messages=(*result.messages, *gone.messages), errors=gone.errors, exit_status=gone.exit_status
    )


def _said(result: Result, facts: Facts, kept: str) -> Result:
    if result.exit_status or result.data["dry_run"] or not kept:
        return result
    back = f"vfioctl snapshot revert {argument(facts.name)} {argument(kept)}{Node(facts.node, facts.uri).there}"
    return result.saying(Message(f"What was there before is the snapshot {kept!r}.", hint=f"Back to it: {back}"))
