"""What the verbs share: how proposed steps become an operation, and pools as data. Prints nothing."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from vfioctl.plugin import OperationRequest, Result, StepProposal, Unfinished, field, frozen

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from vfioctl.plugin import Call, Connection, Finding, Node, Pool, Question

PLUGIN = "storage"
DEADLINE = 60.0  # seconds for a step that libvirt does at once: a mount may wait for a disk that sleeps


@frozen
class Wish:
    """An operation of this plugin: the verb ("pool create"), what it is about, its steps in their order."""

    verb: str
    subject: str
    steps: tuple[StepProposal, ...]
    contents: Mapping[str, bytes] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    question: Question | None = None
    finish: bool = False  # what was begun is finished, since its first half alone would be worse


def perform(call: Call, wish: Wish, *, dry_run: bool, **shown: Any) -> Result:
    """The result of the operation, with `shown` in its data."""
    request = OperationRequest(
        plugin=PLUGIN, operation=wish.verb, subject=wish.subject, key=str(uuid.uuid4()), proposals=wish.steps,
        unfinished=Unfinished.FINISH if wish.finish else Unfinished.UNDO, contents=wish.contents,
        findings=wish.findings, question=wish.question,
    )  # fmt: skip
    result = call.perform(request, dry_run=dry_run)
    return Result(
        data={**result.data, **shown}, messages=result.messages, errors=result.errors, exit_status=result.exit_status
    )


def in_order(*steps: StepProposal | None) -> tuple[StepProposal, ...]:
    """The steps that there are, each after those before it."""
    from vfioctl.plugin import replace

    wanted = [step for step in steps if step]
    return tuple(
        replace(step, after=tuple(one.id for one in wanted[:number])) for number, step in enumerate(wanted)
    )


def step(kind: str, uri: str, pool: str, reason: str, **params: Any) -> StepProposal:
    """A step of `kind` about the pool with the UUID `pool`."""
    return StepProposal(
        id=f"{PLUGIN}.{kind}", kind=kind, params={"uri": uri, "uuid": pool, **params}, reason=reason,
        deadline=DEADLINE,
    )  # fmt: skip


def opening(
    node: Node, pool: str, name: str, blob: str, *, build: bool, fresh: bool, autostart: bool = True
) -> tuple[StepProposal, ...]:
    """The steps, each after those before it, that make the pool `name` with the UUID `pool` and bring it up."""
    return in_order(
        step("pool.define", node.uri, pool, f"libvirt is to know {name}", blob=blob, build=build, fresh=fresh),
        step("pool.start", node.uri, pool, "libvirt is to work with it", made=True),
        None if not autostart else
        step("pool.autostart", node.uri, pool, "it is to start with its host", on=True, made=True),
    )  # fmt: skip


def subject(node: Node, pool: str) -> str:
    """What an operation on a pool is about, for people: two nodes may have one of the same name."""
    return f"pool:{pool}" if node.is_local else f"pool:{node}/{pool}"


def row(node: Node, pool: Pool) -> dict[str, Any]:
    """The pool as data."""
    return {
        "node": str(node), "name": pool.name, "uuid": pool.uuid, "kind": pool.kind, "state": pool.state,
        "autostart": pool.autostart, "persistent": pool.persistent, "path": pool.path, "source": pool.source,
        "capacity": pool.capacity, "allocation": pool.allocation, "available": pool.available,
        "volumes": pool.volumes,
    }  # fmt: skip


def look_anew(connection: Connection, pool: Pool) -> None:
    """Let libvirt look into the pool for what was put there or taken away since."""
    connection.ask(
        lambda libvirt: libvirt.storagePoolLookupByUUIDString(pool.uuid).refresh(0), f"the pool {pool.name} anew"
    )


def users(uses: Iterable[Any], pool: Pool) -> list[str]:
    """The names of the guests that have a disk in the pool, by what their XML says. One of RBD has no directory."""
    place = pool.path.rstrip("/")
    return sorted(
        use.name for use in uses
        if pool.name in use.pools or (place and any(path.startswith(f"{place}/") for path in use.paths))
    )  # fmt: skip
