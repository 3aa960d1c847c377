"""`vfioctl volume create` and `clone`: a new volume, blank, copied, or above another one. None is ever replaced."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vfioctl.plugin import (
    Refused,
    Result,
    argument,
    as_size,
    changing,
    find_template,
    pool_names,
    read_pool,
    size,
    verify_template,
)
from vfioctl_storage.commands.volume_work import about, active_pool, is_marked, must_be_active, step, subject
from vfioctl_storage.commands.work import Wish, perform
from vfioctl_storage.names import NOTHING_CHANGED, check_volume

if TYPE_CHECKING:
    from typing import Any

    from vfioctl.plugin import Call, Connection, StepProposal
    from vfioctl_storage.commands.volume_work import Subject

FORMATS = click.Choice(("qcow2", "raw"))


@click.command()
@click.argument("pool", shell_complete=pool_names)
@click.argument("name")
@click.option("--size", "wanted", default="", metavar="SIZE", help="What a guest sees, as 20G or 512MiB.")
@click.option("--template", default="", metavar="TEMPLATE", help="Let it lie above the image of this template.")
@click.option("--image-format", "form", type=FORMATS, default="qcow2", show_default=True, help="How it is kept.")
@click.option(
    "--preallocation", type=click.Choice(("sparse", "metadata", "full")), default="sparse", show_default=True,
    help="Which room is taken at once.",
)
@changing
@click.pass_obj
def create(
    call: Call, pool: str, name: str, *, wanted: str, template: str, form: str, preallocation: str, node: str,
    dry_run: bool,
) -> Result:  # fmt: skip
    """Make the volume NAME in POOL. It is called as you say, without a suffix of its own.

    It is blank, or with --template lies above the image of that: it sees what is in it, takes no room of its own at
    first, and is as large unless --size says more. The image is read whole before, and must be as it was added.
    """
    check_volume(name)
    if not wanted and not template:
        said = "A blank volume needs a size."
        raise Refused("volume.no_size", said, state=NOTHING_CHANGED, hints=("Give --size, or --template.",))
    count = size(wanted) if wanted else 0
    if form == "raw" and preallocation == "metadata":
        said = "A raw volume has no metadata: it is sparse, or has all its room at once."
        raise Refused("volume.preallocation", said, state=NOTHING_CHANGED, hints=("Give --preallocation full.",))
    more: dict[str, Any] = {"preallocation": preallocation}
    with active_pool(call, pool, node) as (connection, place):
        where = connection.node
        if template:
            count, more = _of_template(connection, template, count, form, preallocation)
    made = step(
        "volume.create", where, place, name, f"{as_size(count)} for a guest", format=form, size=count,
        marked=is_marked(call, where, place), **more,
    )  # fmt: skip
    shown = {"node": str(where), "pool": place.name, "name": name, "format": form, "capacity": count}
    return perform(call, Wish("volume create", about(where, place, name), (made,)), dry_run=dry_run, volume=shown)


def _of_template(
    connection: Connection, word: str, count: int, form: str, preallocation: str
) -> tuple[int, dict[str, Any]]:
    """The size, and what the step needs more. Raises Refused where the template cannot be used, or was changed."""
    if form == "raw" or preallocation != "sparse":
        said = "What lies above a template is qcow2, and takes room when it is written to."
        raise Refused("volume.preallocation", said, state=NOTHING_CHANGED, hints=("Leave these options out.",))
    found = find_template(connection, word)
    data, below = found.usable()
    verify_template(connection, found)
    return count or data.size, {"backing": below.path, "backing_format": data.format}


@click.command()
@click.argument("pool", shell_complete=pool_names)
@click.argument("name")
@click.argument("new")
@click.option("--linked", is_flag=True, help="Do not copy: let NEW lie above NAME, which then must stay as it is.")
@click.option("--to", "target", default="", metavar="POOL", help="Make NEW in this pool.")
@click.option("--image-format", "form", type=FORMATS, default=None, help="How NEW is kept; as NAME unless given.")
@changing
@click.pass_obj
def clone(
    call: Call, pool: str, name: str, new: str, *, target: str, form: str | None, node: str, linked: bool, dry_run: bool
) -> Result:
    """Copy the volume NAME of POOL, with what lies below it, to the new volume NEW.

    Refused while a running guest writes to NAME. With --linked NEW takes no room of its own at first: it is qcow2,
    and sees what is in NAME. That is refused where a guest has NAME as a disk, since it would change below NEW.
    """
    check_volume(new)
    with active_pool(call, pool, node) as (connection, place):
        from_ = subject(call, connection, place, name)
        into = must_be_active(read_pool(connection, target)) if target else place
    must_be_at_rest(from_, linked=linked)
    marked = is_marked(call, from_.node, into)
    if linked:
        made = _above(from_, form, step("volume.create", from_.node, into, new, f"it lies above {name}"), marked=marked)
    else:
        made = step(
            "volume.clone", from_.node, into, new, f"a whole copy of {name}", format=form or from_.volume.format,
            size=from_.volume.capacity, source_pool=place.uuid, source=name, domains=list(from_.domains), marked=marked,
        )  # fmt: skip
    shown = {"node": str(from_.node), "pool": into.name, "name": new, "format": made.params["format"],
             "capacity": from_.volume.capacity, "source": name, "linked": linked}  # fmt: skip
    return perform(call, Wish("volume clone", about(from_.node, into, new), (made,)), dry_run=dry_run, volume=shown)


def _above(from_: Subject, form: str | None, made: StepProposal, *, marked: bool) -> StepProposal:
    from vfioctl.plugin import replace

    if form == "raw":
        said = "A raw volume cannot lie above another one."
        raise Refused("volume.format", said, state=NOTHING_CHANGED, hints=("Leave --image-format out.",))
    volume = from_.volume
    more = {"format": "qcow2", "size": volume.capacity, "backing": volume.path, "backing_format": volume.format,
            "marked": marked}  # fmt: skip
    return replace(made, params={**made.params, **more})


def must_be_at_rest(from_: Subject, *, linked: bool) -> None:
    """Raise Refused where `from_` cannot be copied, or lie below another one: "volume.format", "volume.busy", …"""
    volume = from_.volume
    if volume.format not in ("qcow2", "raw"):
        said = f"The volume {volume.name} is {volume.format or 'of no format that libvirt knows'}, not qcow2 or raw."
        raise Refused("volume.format", said, state=NOTHING_CHANGED)
    if from_.writers:
        running = sorted({one.name for one in from_.writers})
        raise Refused(
            "volume.busy", f"The volume {volume.name} is written to by running guests: {', '.join(running)}.",
            state=NOTHING_CHANGED, hints=tuple(f"Shut it down: vfioctl guest stop {argument(one)}" for one in running),
        )  # fmt: skip
    if saved := sorted(set(from_.users.saved) & set(from_.owners)):
        said = f"The volume {volume.name} belongs to the saved state of {', '.join(saved)}."
        hint = f"Start it and shut it down, or give up what was saved: vfioctl guest discard-saved {argument(saved[0])}"
        raise Refused("domain.saved", said, state=NOTHING_CHANGED, hints=(hint,))
    if linked and from_.owners:
        hint = f"Copy it: vfioctl volume clone {argument(from_.pool.name)} {argument(volume.name)} NEW"
        said = f"Guests write to the volume {volume.name}: {', '.join(from_.owners)}. What lies above it would break."
        raise Refused("volume.used", said, state=NOTHING_CHANGED, hints=(hint,))
