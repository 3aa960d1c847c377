"""Where a template goes: the pool of the templates beside a pool, and the steps that make it where there is none."""

from __future__ import annotations

import os
import uuid
from typing import TYPE_CHECKING

from vfioctl.plugin import (
    Refused,
    content_name,
    field,
    frozen,
    no_such,
    read_pool,
    read_pools,
    read_templates,
    replace,
    templates_pool,
)
from vfioctl_storage import documents
from vfioctl_storage.commands import work
from vfioctl_storage.commands.volume_work import TEMPLATES, is_marked, must_be_active, must_hold, step
from vfioctl_storage.names import NOTHING_CHANGED, bad_path

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from vfioctl.plugin import Call, Connection, Node, Pool, StepProposal
    from vfioctl_storage.commands.template_origin import Origin

READ_ONLY = "0444"


@frozen
class Room:
    """The pool for the templates of the pool `beside`; `before` makes it where it is not there, with `contents`."""

    node: Node
    beside: str
    pool: Pool
    marked: bool
    before: tuple[StepProposal, ...] = ()
    contents: Mapping[str, bytes] = field(default_factory=dict)

    def step(self, kind: str, volume: str, reason: str, **params: Any) -> StepProposal:
        """A step of `kind` about the new `volume`, which one or two others of the plan are about as well."""
        made = step(kind, self.node, self.pool, volume, reason, marked=self.marked, **params)
        return replace(made, id=f"{made.id}.{volume}")

    def making(self, kind: str, volume: str, reason: str, **params: Any) -> StepProposal:
        """The step that makes `volume`, which nobody may write to later."""
        return self.step(kind, volume, reason, mode=READ_ONLY, later=bool(self.before), **params)

    def must_hold(self, connection: Connection, origin: Origin) -> None:
        """Raise Refused("disk.no_room"). A pool that is not there yet lies where that beside it does."""
        pool = read_pool(connection, self.beside) if self.before else self.pool
        must_hold(connection, pool, origin.said, origin.used)


def room_beside(call: Call, connection: Connection, word: str, template: str) -> Room:
    """The room for the new `template` beside the pool `word`. Raises Refused("pool.unknown", "template.exists", …)."""
    where, pools = connection.node, {one.name: one for one in read_pools(connection)}
    if word not in pools:
        raise no_such("pool.unknown", f"There is no pool {word!r}", word, pools, "The pools")
    name, beside = templates_pool(word), must_be_active(where, pools[word])
    if beside.kind == documents.LOGICAL:
        raise bad_path(beside.path, "a volume group has no directory for templates", "Take a pool of a directory.")
    known = {one.name: one for one in read_templates(connection) if one.pool.name == name}
    if found := known.get(template):
        said = f"The pool {name} has a template {template} already{'' if found.image else ', but not its image'}."
        hint = "Choose another name." if found.image else f"Remove what is left of it with: {found.removal}"
        raise Refused("template.exists", said, state=NOTHING_CHANGED, hints=(hint,))
    marked = is_marked(call, where, beside)
    if name in pools:
        return Room(where, word, must_be_active(where, pools[name]), marked)
    return _new(call, where, beside, marked=marked)


def room_of(call: Call, where: Node, pool: Pool) -> Room:
    """The room in `pool`, which has templates already."""
    beside = pool.name.removesuffix(templates_pool(""))
    return Room(where, beside, must_be_active(where, pool), is_marked(call, where, pool))


def _new(call: Call, where: Node, beside: Pool, *, marked: bool) -> Room:
    name, path, chosen = templates_pool(beside.name), f"{beside.path.rstrip('/')}/{TEMPLATES}", str(uuid.uuid4())
    content = documents.pool(name, chosen, path)
    blob, place = content_name(content), call.paths.at(path)
    fresh = where.is_local and not call.host().ask(place, lambda: os.path.lexists(place))
    steps = work.opening(where, chosen, name, blob, build=fresh or not where.is_local, fresh=fresh)
    return Room(where, beside.name, replace(beside, name=name, uuid=chosen, path=path), marked, steps, {blob: content})
