"""What a step is: pure data with a reason, an undo class, a scope and a lifetime. Changes nothing itself."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from vfioctl.checking import TYPE_CHECKING
from vfioctl.frozen import field, frozen

if TYPE_CHECKING:
    from typing import Any, TypeAlias, TypeVar

    Promise = TypeVar("Promise", "Scope", "Lifetime")

Json: TypeAlias = "Mapping[str, Any]"  # JSON object: str, int, float, bool, None, list and dict values only


class Phase(StrEnum):
    """When a step runs. The first two run in prepare, `running` at started, the last two on the way back."""

    BEFORE = "before"
    GIVE = "give"
    RUNNING = "running"
    RETURN = "return"
    AFTER = "after"


class Undo(StrEnum):
    """How far the undo of a step restores what was."""

    EXACT = "exact"
    RECREATED = "recreated"  # runs again, but its inner state is new
    NONE = "none"


class Scope(StrEnum):
    """Until when a step's effect is to be undone. The later one promises more."""

    TRANSACTION = "transaction"  # undone when prepare fails, kept once it succeeded
    LEASE = "lease"  # undone on the way back


class Lifetime(StrEnum):
    """What survives a reboot. The later one promises more: what lies on a disk is undone after a reboot as well."""

    BOOT = "boot"
    DISK = "disk"


def strongest(one: Promise, other: Promise | None) -> Promise:
    """The scope or lifetime that promises more."""
    return one if other is None else max(one, other, key=list(type(one)).index)


class State(StrEnum):
    """What the machine says about a step, whatever the journal says."""

    BEFORE = "before"
    AFTER = "after"
    BETWEEN = "between"
    STUCK = "stuck"
    FOREIGN = "foreign"  # something is there that the step did not make: its mark says so


@frozen
class Frees:
    """A promise that a step makes holders let go. Exactly one of unit, session, pid and container is set.

    `uid` tells a user's unit or container from one of the system. A pid counts only with its start time.
    """

    unit: str | None = None
    uid: int | None = None
    session: str | None = None
    pid: int | None = None
    start_time: int | None = None
    container: str | None = None  # its whole id


@frozen
class StepProposal:
    """What a plugin asks for. The planner adds baseline, resource and the properties of the kind.

    `before` and `after` name ids of other proposals; naming one that is absent is fine. `deadline` is in seconds.
    `scope` and `lifetime` may promise more than the step's kind does, never less; None promises the same. `stall` is
    for long steps: seconds without any progress after which it is given up; 0 sets no such limit.
    """

    id: str
    kind: str
    params: Json
    reason: str
    phase: Phase = Phase.GIVE
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    deadline: float = 10.0
    frees: tuple[Frees, ...] = ()
    best_effort: bool = False  # a failure is a warning, not an undo
    scope: Scope | None = None
    lifetime: Lifetime | None = None
    stall: float = 0.0
    releases: tuple[Frees, ...] = ()  # the name of `frees` in plugin API 1

    @property
    def promises(self) -> tuple[Frees, ...]:
        """What it frees, whichever name the plugin knows."""
        return (*self.frees, *self.releases)


@frozen
class Step:
    """One primitive, planned: everything that apply, probe and undo need, as JSON-able data."""

    id: str
    kind: str
    params: Json
    reason: str
    phase: Phase
    resource: str  # "module:nvidia", "unit:lightdm.service", "sysfs:/sys/…"
    baseline: Json  # from the facts, or from the ledger when another one holds the resource; what marks our work too
    undo: Undo
    scope: Scope
    lifetime: Lifetime
    plugin: str
    deadline: float = 10.0
    releases: tuple[Frees, ...] = ()  # what it frees, as journals name it
    best_effort: bool = False
    stall: float = 0.0
    touches: tuple[str, ...] = field(default=())  # further resources to lock, e.g. whatever is on a module


@frozen
class Condition:
    """What `wait.until` waits for: a word of the closed vocabulary and its arguments (kinds/conditions.py).

    path.exists|path.absent {path} · path.equals {path, value} · link.target {path, name} (base name; "" = no link)
    unit.state {unit, uid, state} · session.gone {session} · module.gone {module} · no.holders {addresses}
    has.holder {addresses, by} · process.gone {pid, start_time}
    Paths are absolute on the host, without the root ("/sys/…").
    """

    kind: str
    args: Json
