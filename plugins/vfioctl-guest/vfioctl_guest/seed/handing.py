"""What a start of a guest does with its seed: the first writes down that there was one, one after a shutdown takes it.

A system that shuts itself down was up, and has read its seed before. One that was switched off, crashed or lost its
power keeps it, as after a start by somebody else, which writes nothing down: it is then in the guest once more, which
does nothing by it where it has read it, since its instance is the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vfioctl.plugin import (
    Message,
    Result,
    StepProposal,
    Unfinished,
    content_name,
    frozen,
    read_pools,
    replace,
    volumes_at,
)
from vfioctl_guest.life import OFF, Doing, perform, step
from vfioctl_guest.seed.ending import has_shut_down
from vfioctl_guest.seed.mark import marked, with_run, without
from vfioctl_guest.sources import who_has

if TYPE_CHECKING:
    from vfioctl.plugin import Call, Connection, Volume
    from vfioctl_guest.life import Subject


@frozen
class Read:
    """A seed that has been read: its `file`, and the `volume` that it is in a pool, None where nobody may delete it."""

    file: str
    pool: str = ""
    volume: Volume | None = None


def first(about: Subject) -> tuple[tuple[StepProposal, ...], dict[str, bytes]]:
    """The step before the first start of a guest with a seed, and the contents that it names; none at another start."""
    seed = marked(about.guest.xml) if about.guest.state == OFF else None
    if seed is None or seed.run:
        return (), {}
    return _defined(about, with_run(about.guest.xml), "it is written down that it has run with its seed")


def read_seed(call: Call, connection: Connection, about: Subject) -> Read | None:
    """The seed that a guest which is off has read; None for none. Raises VfioctlError."""
    seed = marked(about.guest.xml) if about.guest.state == OFF else None
    if seed is None or not seed.run or not has_shut_down(call, about):
        return None
    found = volumes_at(connection, call.host().ask).get(seed.file)
    needed = who_has(call, connection, seed.file, but=about.guest.uuid)
    if found is None or needed:
        return Read(seed.file)
    return Read(seed.file, next(one.uuid for one in read_pools(connection) if one.name == found.pool), found)


def take_away(call: Call, about: Subject, seed: Read, *, dry_run: bool) -> Result:
    """The result of the operation that takes it from the guest and deletes it.

    It is one of its own: what was deleted, no failure of the start may give back to the configuration.
    """
    steps, contents = _defined(about, without(about.guest.xml), "it has read its seed")
    if seed.volume:
        steps = (*steps, _removed(about, seed.pool, seed.volume, steps[0].id))
    how = Doing("take-seed", dry_run, contents=contents, unfinished=Unfinished.FINISH)
    result = perform(call, about, steps, how)
    if seed.volume or dry_run or result.exit_status:
        return result
    said = f"Its seed {seed.file} stays: it is no volume of an active pool, or another guest has it."
    return result.saying(Message(said, "warning"))


def together(taken: Result, started: Result) -> Result:
    """Both results as one: that of the start, with the steps and messages of what came before."""
    steps = [*taken.data["steps"], *started.data["steps"]]
    return replace(started, data={**started.data, "steps": steps}, messages=(*taken.messages, *started.messages))


def _defined(about: Subject, xml: str, reason: str) -> tuple[tuple[StepProposal, ...], dict[str, bytes]]:
    fresh, former = xml.encode(), about.guest.xml.encode()
    names = content_name(fresh), content_name(former)
    made = step(about, "domain.define", reason, blob=names[0], former=names[1])
    return (made,), {names[0]: fresh, names[1]: former}


def _removed(about: Subject, pool: str, volume: Volume, after: str) -> StepProposal:
    params = {
        "uri": about.uri, "domain": about.guest.uuid, "pool": pool, "name": volume.name, "path": volume.path,
        "size": volume.capacity, "changed": volume.changed,
    }  # fmt: skip
    return StepProposal(
        id="guest.seed", kind="volume.delete", params=params, reason="nobody needs it any more", after=(after,),
        best_effort=True,
    )  # fmt: skip
