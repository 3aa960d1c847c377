"""`vfioctl pool create`: a pool is defined, built, started, and starts with its host."""

from __future__ import annotations

import os
import uuid
from typing import TYPE_CHECKING

import click

from vfioctl.plugin import Refused, Result, argument, changing, content_name, has_pools_of, read_pools
from vfioctl_storage.commands.pool_asked import asked
from vfioctl_storage.commands.work import Wish, opening, perform, subject
from vfioctl_storage.documents import KINDS, LOGICAL
from vfioctl_storage.documents import pool as document
from vfioctl_storage.names import NOTHING_CHANGED, bad_path, check_name, check_path
from vfioctl_storage.places import must_have_no_others

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from vfioctl.plugin import Call, Connection, Pool


@click.command()
@click.argument("name")
@click.option("--type", "kind", type=click.Choice(KINDS), default=None, help="What it is of; dir unless given.")
@click.option("--path", default="", metavar="DIR", help="Where its volumes are; of a volume group that is not asked.")
@click.option(
    "--device", "--source-device", "devices", multiple=True, metavar="DEVICE",
    help="The device whose file system is mounted there, or one of a volume group.",
)
@click.option("--source-name", default="", metavar="GROUP", help="The volume group; called NAME unless given.")
@click.option("--source-host", default="", metavar="HOST", help="The server of a directory that is mounted by NFS.")
@click.option("--source-path", default="", metavar="DIR", help="That directory, as the server calls it.")
@click.option("--any-files", is_flag=True, help="Also where DIR has files that are no images: they become volumes.")
@click.option("--no-autostart", is_flag=True, help="Do not let it start with its host.")
@changing
@click.pass_obj
def create(
    call: Call, /, name: str, path: str, node: str, *, any_files: bool, no_autostart: bool, dry_run: bool, **said: Any
) -> Result:
    """Make the pool NAME of the directory DIR, start it, and let it start with its host.

    DIR is made where there is none. What is in it already becomes volumes of the pool: it is refused for directories
    of the system, and where files lie in it that are no images. With --device the pool is the
    file system on DEVICE, with --source-host and --source-path what that server shows, mounted at DIR while the pool
    is active. With --type logical its volumes are those of a volume group that is there. No file system and no volume
    group is ever made, and none is removed with the pool.
    """
    check_name(name)
    source, path = asked(name, path, **said)
    with call.connection(node) as connection:
        where, known = connection.node, read_pools(connection)
        _must_be_of_a_kind(connection, source.kind)
    has_directory = source.kind != LOGICAL
    path = _real(call, path) if where.is_local and has_directory else path.rstrip("/")
    _must_be_free(name, path, known)
    if where.is_local and has_directory:
        check_path(path)  # a link may lead anywhere
    fresh = where.is_local and has_directory and _is_fresh(call, path)
    if where.is_local and has_directory and not any_files:
        must_have_no_others(call.host(), path)
    chosen = str(uuid.uuid4())
    content = document(name, chosen, path, source)
    blob, build = content_name(content), has_directory and (fresh or not where.is_local)
    steps = opening(where, chosen, name, blob, build=build, fresh=fresh, autostart=not no_autostart)
    wish = Wish("pool create", subject(where, name), steps, {blob: content})
    about = {"node": str(where), "name": name, "uuid": chosen, "path": path, "source": source.said,
             "kind": source.kind}  # fmt: skip
    return perform(call, wish, dry_run=dry_run, pool=about)


def _must_be_of_a_kind(connection: Connection, kind: str) -> None:
    """Raise Refused("pool.no_backend")."""
    if not has_pools_of(connection, kind):
        raise Refused(
            "pool.no_backend", f"libvirt on {connection.node} has nothing for pools of the type {kind}.",
            state=NOTHING_CHANGED,
            hints=(f"Install it there (Debian 13: libvirt-daemon-driver-storage-{kind}), and restart libvirtd.",),
        )  # fmt: skip


def _real(call: Call, path: str) -> str:
    """The path without links: guests are given the files as they are, and AppArmor judges those."""
    root, place = call.paths.root.rstrip("/"), call.paths.at(path)
    found: str = call.host().ask(place, lambda: os.path.realpath(place))
    return found.removeprefix(root) or "/"


def _is_fresh(call: Call, path: str) -> bool:
    """Whether the directory is to be made. Raises Refused("pool.bad_path")."""
    place, above = call.paths.at(path), os.path.dirname(call.paths.at(path))
    host = call.host()
    if host.ask(place, lambda: os.path.lexists(place)):
        if not host.ask(place, lambda: os.path.isdir(place)):
            raise bad_path(path, "it is no directory")
        return False
    if not host.ask(above, lambda: os.path.isdir(above)):
        raise bad_path(path, f"there is no directory {os.path.dirname(path)}", f"Make it with: mkdir -p {above}")
    return True


def _must_be_free(name: str, path: str, known: Iterable[Pool]) -> None:
    for pool in known:
        look = f"See: vfioctl pool show {argument(pool.name)}"
        if pool.name == name:
            raise Refused(
                "pool.exists", f"There is a pool {name} already, at {pool.path}.", state=NOTHING_CHANGED, hints=(look,)
            )
        if pool.path == path:
            raise Refused(
                "pool.path_taken", f"The pool {pool.name} is at {path} already.", state=NOTHING_CHANGED, hints=(look,)
            )
