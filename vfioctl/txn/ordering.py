"""The order of steps: phases, then the plugins' before/after wishes, then the least reversible last. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heappop, heappush

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import Refused
from vfioctl.frozen import frozen
from vfioctl.txn.kind import kind
from vfioctl.txn.step import Phase, StepProposal, Undo, strongest

if TYPE_CHECKING:
    from vfioctl.txn.step import Promise

LATENESS = {Undo.EXACT: 0, Undo.RECREATED: 1, Undo.NONE: 2}
PHASES = tuple(Phase)


@frozen
class Proposed:
    """A proposal and the plugin that made it; `also` are the ids of its twins, by which others know it."""

    plugin: str
    step: StepProposal
    also: tuple[str, ...] = ()


def ordered(proposals: Sequence[Proposed]) -> tuple[Proposed, ...]:
    """The proposals in the order in which they run; never depends on the order in which plugins were asked.

    Raises Refused("plan.cycle") naming the steps and their plugins.
    """
    result: list[Proposed] = []
    for phase in PHASES:
        ranked = sorted(
            (item for item in enumerate(proposals) if item[1].step.phase is phase),
            key=lambda item: (LATENESS[_undo(item[1])], item[1].plugin, item[0]),
        )
        result += _sorted([proposed for _, proposed in ranked])
    return tuple(result)


def _undo(proposed: Proposed) -> Undo:
    return kind(proposed.step.kind).undo_of(proposed.step.params)


def _sorted(items: list[Proposed]) -> list[Proposed]:
    """Kahn's algorithm with the rank as tie-break: as early as rank wants, as late as the edges need."""
    waiting = _predecessors(items)
    following: dict[int, list[int]] = {index: [] for index in waiting}
    for index, before in waiting.items():
        for earlier in before:
            following[earlier].append(index)
    ready = [index for index in waiting if not waiting[index]]  # in order, and so a heap
    result: list[Proposed] = []
    while ready:
        current = heappop(ready)
        result.append(items[current])
        del waiting[current]
        for index in following[current]:
            waiting[index].discard(current)
            if not waiting[index]:
                heappush(ready, index)
    if waiting:
        raise _cycle([items[index] for index in waiting])
    return result


def _predecessors(items: list[Proposed]) -> dict[int, set[int]]:
    by_id = {name: index for index, item in enumerate(items) for name in item.also}
    by_id |= {item.step.id: index for index, item in enumerate(items)}
    waiting: dict[int, set[int]] = {index: set() for index in range(len(items))}
    for index, item in enumerate(items):
        waiting[index] |= {by_id[name] for name in item.step.after if name in by_id}
        for name in item.step.before:
            if name in by_id:
                waiting[by_id[name]].add(index)
    return {index: before - {index} for index, before in waiting.items()}  # twins may have named each other


def _cycle(items: list[Proposed]) -> Refused:
    named = ", ".join(f"{item.step.id} of plugin {item.plugin}" for item in items)
    return Refused(
        "plan.cycle",
        f"These steps each want to run before the other: {named}.",
        state="Nothing was changed.",
        hints=("Disable one of the plugins with the setting: disabled_plugins = [\"NAME\"]",),
    )


def merged(proposals: Sequence[Proposed]) -> tuple[Proposed, ...]:
    """The proposals without twins: two of the same kind, parameters and phase become one that frees for both, and that
    is before and after what either of them is.

    Raises Refused("plan.conflict") when two want different things of one resource, and "plan.duplicate" for one id
    with two meanings.
    """
    result: dict[str, Proposed] = {}
    for proposed in proposals:
        twin = result.get(_wish(proposed.step))
        result[_wish(proposed.step)] = _united(twin, proposed) if twin else proposed
    _refuse_conflicts(tuple(result.values()))
    return tuple(result.values())


def _wish(proposal: StepProposal) -> str:
    return f"{proposal.phase} {proposal.kind} {sorted(proposal.params.items())!r}"


def _united(first: Proposed, second: Proposed) -> Proposed:
    one, two = first.step, second.step
    return Proposed(first.plugin, StepProposal(
        id=one.id, kind=one.kind, params=one.params, reason=one.reason, phase=one.phase,
        before=(*one.before, *two.before), after=(*one.after, *two.after),
        deadline=max(one.deadline, two.deadline), frees=tuple(dict.fromkeys((*one.promises, *two.promises))),
        best_effort=one.best_effort and two.best_effort,
        scope=_stronger(one.scope, two.scope), lifetime=_stronger(one.lifetime, two.lifetime),
        stall=max(one.stall, two.stall) if one.stall and two.stall else 0.0,  # as patient as the more patient one
    ), (*first.also, two.id))  # fmt: skip


def _stronger(one: Promise | None, two: Promise | None) -> Promise | None:
    return two if one is None else strongest(one, two)


def _refuse_conflicts(proposals: Sequence[Proposed]) -> None:
    ids: dict[str, Proposed] = {}
    targets: dict[tuple[str, str], Proposed] = {}
    for item in proposals:
        if other := ids.get(item.step.id):
            raise _clash("plan.duplicate", other, item, f"the id {item.step.id}")
        ids[item.step.id] = item
        resource = kind(item.step.kind).resource(item.step.params)
        if not resource or kind(item.step.kind).passive:
            continue
        if other := targets.get((item.step.kind, resource)):
            raise _clash("plan.conflict", other, item, f"{item.step.kind} on {resource}")
        targets[item.step.kind, resource] = item


def _clash(code: str, one: Proposed, two: Proposed, what: str) -> Refused:
    return Refused(
        code,
        f"Plugins {one.plugin} and {two.plugin} want different things of {what}.",
        state="Nothing was changed.",
        hints=("Disable one of them with the setting: disabled_plugins = [\"NAME\"]",),
    )
