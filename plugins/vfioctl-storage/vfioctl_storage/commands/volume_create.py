"""`vfioctl volume create` and `clone`: a new volume, blank, copied, or above another one. None is ever replaced."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vfioctl.plugin import Result, changing, pool_names, read_pool
from vfioctl_storage.commands.volume_asked import PREALLOCATIONS, SPARSE, Asked
from vfioctl_storage.commands.volume_copy import derived
from vfioctl_storage.commands.volume_work import (
    FORMATS,
    about,
    active_pool,
    must_be_active,
    must_be_for_volumes,
    must_lie_well,
    outgrowing,
    subject,
    writable_pool,
)
from vfioctl_storage.commands.work import Wish, perform
from vfioctl_storage.names import check_volume

if TYPE_CHECKING:
    from typing import Any

    from vfioctl.plugin import Call



@click.command()
@click.argument("pool", shell_complete=pool_names)
@click.argument("name")
@click.option("--size", "wanted", default="", metavar="SIZE", help="What a guest sees, as 20G or 512MiB.")
@click.option("--template", default="", metavar="TEMPLATE", help="Let it lie above the image of this template.")
@click.option("--snapshot", default="", metavar="GUEST@SNAPSHOT", help="Copy what a disk had in it at this snapshot.")
@click.option("--disk", default="", metavar="TARGET", help="Which of several disks of the snapshot, as vda.")
@click.option("--linked", is_flag=True, help="Do not copy: let it lie above the image that the snapshot keeps.")
@click.option("--image-format", "form", type=FORMATS, default="qcow2", show_default=True, help="How it is kept.")
@click.option(
    "--preallocation", type=click.Choice(PREALLOCATIONS), default=SPARSE, show_default=True,
    help="Which room is taken at once.",
)
@changing
@click.pass_obj
def create(call: Call, /, pool: str, name: str, node: str, *, dry_run: bool, **said: Any) -> Result:
    """Make the volume NAME in POOL. It is called as you say, without a suffix of its own.

    It is blank, or with --template lies above the image of that: it sees what is in it, takes no room of its own at
    first, and is as large unless --size says more. The image is read whole before, and must be as it was added. With
    --snapshot it is what a disk of a guest had in it then, a whole copy or with --linked above what is kept of it;
    the guest may run.
    """
    check_volume(name)
    asked = Asked(**said)
    asked.must_be_clear()
    with writable_pool(call, pool, node) as (connection, place):
        where, made = connection.node, asked.step(call, connection, place, name)
        thin = () if asked.is_taken else outgrowing(connection, place, name, made.params["size"])
    shown = {"node": str(where), "pool": place.name, "name": name, "format": made.params["format"],
             "capacity": made.params["size"]}  # fmt: skip
    wish = Wish("volume create", about(where, place, name), (made,), findings=thin)
    return perform(call, wish, dry_run=dry_run, volume=shown)


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
        from_ = must_lie_well(call, connection, subject(call, connection, place, name))
        into = must_be_active(connection.node, read_pool(connection, target)) if target else place
        must_be_for_volumes(into)
        made = derived(call, connection, from_, into, new, form=form, linked=linked)
    shown = {"node": str(from_.node), "pool": into.name, "name": new, "format": made.params["format"],
             "capacity": from_.volume.capacity, "source": name, "linked": linked}  # fmt: skip
    return perform(call, Wish("volume clone", about(from_.node, into, new), (made,)), dry_run=dry_run, volume=shown)


