"""`vfioctl volume resize` and `delete`: what is there is changed for good, while nobody is in the way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vfioctl.plugin import (
    Message,
    Question,
    Refused,
    Result,
    as_size,
    asking,
    changing,
    pool_names,
    read_templates,
    size,
    templates_pool,
)
from vfioctl_storage.commands.volume_work import about, active_pool, outgrowing, row, step, subject, writable_pool
from vfioctl_storage.commands.work import Wish, perform
from vfioctl_storage.names import NOTHING_CHANGED

if TYPE_CHECKING:
    from typing import Any

    from vfioctl.plugin import Call, Connection
    from vfioctl_storage.commands.volume_work import Subject

CUT, LOSS = "volume.unconfirmed_shrink", "volume.unconfirmed_delete"


@click.command()
@click.argument("pool", shell_complete=pool_names)
@click.argument("name")
@click.argument("wanted", metavar="SIZE")
@click.option("--shrink", is_flag=True, help="Cut off its end, with what is in it.")
@asking
@changing
@click.pass_obj
def resize(
    call: Call, pool: str, name: str, wanted: str, node: str, *, shrink: bool, yes: bool, dry_run: bool
) -> Result:
    """Give the volume NAME of POOL the size SIZE, or with a + before it so much more.

    The disk of a running guest grows at once, and is never cut. Whatever partitions and file systems are in it do not
    grow with it: that is the guest's own.
    """
    if yes:
        call.agree(CUT)
    with writable_pool(call, pool, node) as (connection, place):
        subj = subject(call, connection, place, name)
        former = subj.volume.capacity
        count = former + size(wanted[1:]) if wanted.startswith("+") else size(wanted)
        thin = outgrowing(connection, place, name, count - subj.volume.allocation) if count > former else ()
    if count == former:
        data: dict[str, Any] = {"operation": None, "steps": [], "dry_run": False, "volume": row(subj.node, subj.volume)}
        return Result(data=data).saying(Message(f"The volume {name} has that size already."))
    _must_be_meant(call, subj, cut=count < former, shrink=shrink)
    change = step(
        "volume.resize", subj.node, place, name, f"{as_size(former)} become {as_size(count)}", former=former,
        size=count, domains=list(subj.domains), **_live(subj),
    )  # fmt: skip
    lines = (f"The last {as_size(former - count)} of {subj.volume.path} are cut off, with what is in them.",)
    asked = Question(CUT, lines) if count < former else None
    wish = Wish(
        "volume resize", about(subj.node, place, name), (change,), question=asked, findings=thin, finish=True
    )
    shown = {**row(subj.node, subj.volume), "capacity": count, "former": former}
    return perform(call, wish, dry_run=dry_run, volume=shown)


def _must_be_meant(call: Call, subj: Subject, *, cut: bool, shrink: bool) -> None:
    name = subj.volume.name
    if cut and subj.users.running:
        raise Refused(
            "volume.busy", f"The volume {name} is in use by running guests, and is never cut: "
            f"{', '.join(subj.users.running)}.", state=NOTHING_CHANGED, hints=("Shut them down first.",),
        )  # fmt: skip
    if subj.users.above:
        raise Refused(
            "volume.used", f"Other volumes lie above {name}, and need its size: {', '.join(subj.users.above)}.",
            state=NOTHING_CHANGED, hints=("Give these another size instead.",),
        )  # fmt: skip
    if cut and not shrink:
        line = call.again("--shrink")
        raise Refused(
            "volume.would_shrink", f"The volume {name} has {as_size(subj.volume.capacity)}: what is in its end would "
            "be lost.", state=NOTHING_CHANGED,
            hints=(f"If the file systems in it are smaller: {line}", "To make it larger: +SIZE"),
        )  # fmt: skip


def must_be_no_template(connection: Connection, subj: Subject) -> None:
    """Raise Refused("volume.used") for the image or the record of a template."""
    for one in read_templates(connection) if subj.pool.name.endswith(templates_pool("")) else ():
        if subj.volume.name in (one.record.name, one.image.name if one.image else "") and one.data:
            hint = f"Delete that with: {one.removal}"
            said = f"The volume {subj.volume.name} belongs to the template {one.name}."
            raise Refused("volume.used", said, state=NOTHING_CHANGED, hints=(hint,))


def _live(subj: Subject) -> dict[str, Any]:
    """How a running guest is told of it."""
    if not subj.writers:
        return {}
    if len({writer.uuid for writer in subj.writers}) > 1:
        names = ", ".join(writer.name for writer in subj.writers)
        raise Refused(
            "volume.busy", f"Several running guests write to {subj.volume.name}: {names}.", state=NOTHING_CHANGED,
            hints=("Shut them down but for one.",),
        )  # fmt: skip
    return {"running": subj.writers[0].uuid, "target": subj.writers[0].target}


@click.command()
@click.argument("pool", shell_complete=pool_names)
@click.argument("name")
@asking
@changing
@click.pass_obj
def delete(call: Call, pool: str, name: str, node: str, *, yes: bool, dry_run: bool) -> Result:
    """Remove the volume NAME of POOL for good.

    Refused while a guest has it, running or not, in a snapshot or in its saved state, by whichever path; and while
    another volume lies above it.
    """
    if yes:
        call.agree(LOSS)
    with active_pool(call, pool, node) as (connection, place):
        subj = subject(call, connection, place, name)
        must_be_no_template(connection, subj)
    volume = subj.volume
    change = step(
        "volume.delete", subj.node, place, name, "nobody needs it", path=volume.path, size=volume.capacity,
        changed=volume.changed,
    )  # fmt: skip
    lines = (f"{volume.path} will be removed for good: {as_size(volume.allocation)} of {as_size(volume.capacity)}.",)
    wish = Wish("volume delete", about(subj.node, place, name), (change,), question=Question(LOSS, lines), finish=True)
    return perform(call, wish, dry_run=dry_run, volume=row(subj.node, volume))
