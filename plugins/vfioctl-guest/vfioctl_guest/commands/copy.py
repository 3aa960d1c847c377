"""`vfioctl guest copy`: one file from this host into a running guest, or from it, by its agent or over ssh.

It is no operation of the engine: a file in a guest is no state of the node, and a guest that is off, or whose ssh wants
another key, could not be asked for an undo. So nothing may need one: what is not whole has no name, and goes by itself.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from vfioctl.plugin import Message, Refused, Result, as_size, changing, frozen, guest_names, read_addresses
from vfioctl_guest.commands.address import none_of
from vfioctl_guest.copying.into import into, source
from vfioctl_guest.copying.out import Out
from vfioctl_guest.copying.roads import AgentRoad, SshRoad
from vfioctl_guest.life import find, must_have_agent, must_run
from vfioctl_guest.names import NOTHING_CHANGED
from vfioctl_guest.ways import ssh_command

if TYPE_CHECKING:
    from vfioctl.plugin import Call, Connection
    from vfioctl_guest.copying.into import Copied
    from vfioctl_guest.copying.roads import Road
    from vfioctl_guest.life import Subject

WAYS = ("auto", "agent", "ssh")
MOST = 256 << 20  # bytes by an agent, which takes about a minute for 40 MiB and answers nobody else meanwhile
THERE = re.compile(r"([^/:]+):(.*)", re.DOTALL)


@frozen
class Errand:
    """What is to be copied: the `path` in the guest `name`, and the file `here`; `goes` there, or comes."""

    name: str
    path: str
    here: str
    goes: bool


@frozen
class Choice:
    """How: by which way, as whom over ssh, and whether what is there is replaced."""

    by: str
    user: str | None
    identity: str | None
    overwrite: bool


def sides(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """What a shell offers for one side: the guests that begin so, else its own files."""
    guests = [CompletionItem(f"{name}:") for name in guest_names(ctx, param, incomplete)]
    return guests or [CompletionItem(incomplete, type="file")]


@click.command()
@click.argument("source", metavar="FILE|NAME:/PATH", shell_complete=sides)
@click.argument("target", metavar="FILE|NAME:/PATH", shell_complete=sides)
@click.option("--by", type=click.Choice(WAYS), default=WAYS[0], show_default=True, help="The way into the guest.")
@click.option("--user", help="Log in over ssh as this user; else as ssh is set up.")
@click.option("--identity", type=click.Path(dir_okay=False), metavar="FILE", help="The private key to log in with.")
@click.option("--overwrite", is_flag=True, help="Replace a file that is there.")
@changing
@click.pass_obj
def copy(
    call: Call, source: str, target: str, node: str, *, by: str, user: str | None, identity: str | None,
    overwrite: bool, dry_run: bool,
) -> Result:  # fmt: skip
    """Copy one file into a running guest, or from it: one side is NAME:/PATH, the other a file of this host.

    Where the guest has an address it goes over ssh, with keys alone, else through its agent. The file has its name only
    when it is whole, and its mode; both sides compare its sha256. It belongs to whom ssh or the agent is in the guest.
    --dry-run asks the guest, and says what would be copied whereto.
    """
    errand, how = errand_of(source, target), Choice(by, user, identity, overwrite)
    with call.connection(node) as connection:
        about = find(call, connection, errand.name)
        must_run(about)
        road = _road(connection, about, how)
        copied = (_into if errand.goes else _out)(call, about, road, errand, overwrite=overwrite, dry_run=dry_run)
    here = os.path.abspath(errand.here if errand.goes else copied.path)
    result = Result(
        data={"guest": about.name, "uuid": about.guest.uuid, "node": about.node, "by": road.name,
              "direction": "in" if errand.goes else "out", "file": here,
              "path": copied.path if errand.goes else errand.path, "bytes": copied.size, "mode": f"{copied.mode:04o}",
              "sha256": copied.sha256, "compared": copied.compared, "dry_run": dry_run},
    )  # fmt: skip
    unsure = Message("The guest has no sha256sum: only the number of bytes was compared.", "warning")
    return result if copied.compared or dry_run else result.saying(unsure)


def errand_of(source: str, target: str) -> Errand:
    """What the two words say. Raises Refused("guest.copy")."""
    there, back = THERE.fullmatch(target), THERE.fullmatch(source)
    if bool(there) == bool(back):
        both = "both are in a guest" if there else "none is in a guest"
        raise Refused(
            "guest.copy", f"One side is a file of this host and one NAME:/PATH in a guest; here {both}.",
            state=NOTHING_CHANGED, hints=("A file here whose name has a ':' is typed as ./FILE",
                                          "Another guest like one is made with: vfioctl guest clone GUEST NEW"),
        )  # fmt: skip
    found = there or back
    assert found
    name, path = found.groups()
    if not path.startswith("/") or not path.isprintable():
        said = f"{path!r} is no path in a guest: expected a whole one, such as {name}:/tmp/file."
        raise Refused("guest.copy", said, state=NOTHING_CHANGED)
    return Errand(name, path, source if there else target, goes=bool(there))


def _road(connection: Connection, about: Subject, how: Choice) -> Road:
    """The way that was asked for; by itself ssh where there is an address, else the agent. Raises as they do."""
    ssh = how.by == "ssh" or bool(how.user or how.identity)
    if ssh and how.by == "agent":
        raise Refused("guest.copy", "--user and --identity are ssh's, and --by says agent.", state=NOTHING_CHANGED)
    if how.by != "agent":
        seen = read_addresses(connection, about.guest.uuid)
        if seen.found:
            return SshRoad(about, _argv(about, seen.found[0].address, how))
        if ssh:
            raise none_of(about, seen)
    must_have_agent(about)
    return AgentRoad(connection, about.guest.uuid)


def _argv(about: Subject, address: str, how: Choice) -> tuple[str, ...]:
    options = ("-o", "BatchMode=yes")
    return ssh_command(about.guest.uuid, about.uri, address, user=how.user, identity=how.identity, options=options)


def _into(call: Call, about: Subject, road: Road, errand: Errand, *, overwrite: bool, dry_run: bool) -> Copied:
    with source(errand.here) as one:
        _must_be_small(road, about, one.was.st_size)
        return into(road, about.name, one, errand.path, call.caller.tell, overwrite=overwrite, dry_run=dry_run)


def _out(call: Call, about: Subject, road: Road, errand: Errand, *, overwrite: bool, dry_run: bool) -> Copied:
    file = Out(road, about.name, errand.path)
    was = file.look()
    _must_be_small(road, about, was.size)
    name = os.path.basename(errand.path)
    goal = os.path.join(errand.here, name) if os.path.isdir(errand.here) else errand.here
    if dry_run:
        return file.foretell(was, goal, overwrite=overwrite)
    return file.bring(was, goal, call.caller.tell, overwrite=overwrite)


def _must_be_small(road: Road, about: Subject, size: int) -> None:
    """Raise Refused("guest.copy_large"): an agent has one call at a time, and none else is heard for so long."""
    if road.name == "agent" and size > MOST:
        raise Refused(
            "guest.copy_large", f"An agent copies up to {as_size(MOST)}, and this is {as_size(size)}.",
            state=NOTHING_CHANGED,
            hints=("Copy it over ssh: --by ssh", f"Or attach a volume to it: vfioctl guest attach {about.called}"),
        )  # fmt: skip
