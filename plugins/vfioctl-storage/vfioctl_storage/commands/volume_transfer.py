"""`vfioctl volume upload` and `download`: files of this host become volumes of any node, and volumes files."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from vfioctl.plugin import Refused, Result, argument, changing, pool_names
from vfioctl_storage.checksums import checksum
from vfioctl_storage.commands.volume_work import (
    FORMATS,
    about,
    active_pool,
    is_marked,
    must_hold,
    must_take,
    row,
    step,
    subject,
    writable_pool,
)
from vfioctl_storage.commands.work import Wish, in_order, perform
from vfioctl_storage.image import read
from vfioctl_storage.names import NOTHING_CHANGED, check_volume

if TYPE_CHECKING:
    from vfioctl.plugin import Call
    from vfioctl_storage.commands.volume_work import Subject


@click.command()
@click.argument("pool", shell_complete=pool_names)
@click.argument("name")
@click.argument("file")
@click.option("--sha256", default="", metavar="SUM", help="The checksum that FILE must have.")
@click.option("--image-format", "form", type=FORMATS, default=None, help="What FILE is; by its header unless given.")
@changing
@click.pass_obj
def upload(
    call: Call, pool: str, name: str, file: str, *, sha256: str, form: str | None, node: str, dry_run: bool
) -> Result:
    """Make the new volume NAME in POOL of the image FILE, which lies on this host.

    FILE is raw or a whole qcow2 image. Nothing that is there is replaced; what failed half-way is removed.
    """
    check_volume(name)
    wanted = checksum(sha256)
    image = read(call.host(), os.path.abspath(file), form)
    with writable_pool(call, pool, node) as (connection, place):
        where = connection.node
        convert = f"Convert it: qemu-img convert -O raw {argument(image.path)} NEW"
        must_take(connection, place, image.path, image.format, image.size, hint=convert)
        must_hold(connection, place, image.path, image.used)
    marked, more = is_marked(call, where, place), {"sha256": wanted} if wanted else {}
    steps = in_order(
        step("volume.create", where, place, name, f"{image.path} becomes it", format=image.format, size=image.size,
             marked=marked),
        step("volume.upload", where, place, name, f"all of {image.path}", source=image.path, size=image.length,
             marked=marked, **more),
    )  # fmt: skip
    shown = {"node": str(where), "pool": place.name, "name": name, "format": image.format, "capacity": image.size,
             "source": image.path}  # fmt: skip
    return perform(call, Wish("volume upload", about(where, place, name), steps), dry_run=dry_run, volume=shown)


@click.command()
@click.argument("pool", shell_complete=pool_names)
@click.argument("name")
@click.argument("file")
@changing
@click.pass_obj
def download(call: Call, pool: str, name: str, file: str, node: str, *, dry_run: bool) -> Result:
    """Make the new file FILE on this host of the volume NAME of POOL, in the format that it is kept in.

    What lies below the volume does not come with it: such a one is refused. So is one that a running guest writes to.
    """
    with active_pool(call, pool, node) as (connection, place):
        subj = subject(call, connection, place, name)
    _must_be_at_rest(subj)
    path, volume = os.path.abspath(file), subj.volume
    count = volume.allocation if volume.format == "qcow2" else volume.capacity
    made = step(
        "volume.download", subj.node, place, name, f"{path} becomes a copy", path=path, size=count,
        domains=list(subj.domains),
    )  # fmt: skip
    shown = {**row(subj.node, volume), "file": path}
    return perform(call, Wish("volume download", about(subj.node, place, name), (made,)), dry_run=dry_run, volume=shown)


def _must_be_at_rest(subj: Subject) -> None:
    volume = subj.volume
    if volume.backing:
        said = f"The volume {volume.name} lies above {volume.backing}, and is of no use without it."
        hint = "Make a whole copy first, with: vfioctl volume clone"
        raise Refused("volume.format", said, state=NOTHING_CHANGED, hints=(hint,))
    if subj.writers:
        names = ", ".join(sorted({one.name for one in subj.writers}))
        said = f"The volume {volume.name} is written to by running guests: {names}."
        raise Refused("volume.busy", said, state=NOTHING_CHANGED, hints=("Shut them down first.",))
