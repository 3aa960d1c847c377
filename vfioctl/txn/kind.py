"""What each step kind provides, and where it is found. The kinds themselves are one file each in kinds/."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from functools import cache

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import VfioctlError

if TYPE_CHECKING:
    from typing import Protocol

    from vfioctl.findings import Finding
    from vfioctl.host.host import Host
    from vfioctl.paths import Paths
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.shape import Shape
    from vfioctl.txn.step import Condition, Json, Lifetime, Scope, State, Step, StepProposal, Undo
else:
    Protocol = object


class Kind(Protocol):
    """One primitive change. All of it works from the step's data alone, so no plugin is needed to undo it."""

    name: str
    summary: str  # one sentence for the reference
    undo_class: Undo
    scope: Scope
    lifetime: Lifetime
    marks: bool  # what it makes bears the operation's id, which the planner puts into the baseline as "operation"
    takes: Shape  # what its parameters look like
    keeps: Shape  # what its baseline looks like
    blind: bool  # nothing on the machine tells whether it was applied: only the journal does
    one_way: bool  # somebody loses by it what no undo brings back: the point of no return
    passive: bool  # changes nothing, so that two of them cannot clash
    exclusive: bool  # one holder at a time: nobody shares what it changes
    spontaneous: bool  # may come about without having been begun, for another step's sake
    opaque: bool  # runs a program or a unit: what that brings about nobody can tell
    in_hooks: bool  # a hook may have it: its undo is a few lines of shell, and it asks nobody who waits for the hook
    restarts: bool  # its undo starts what looks at the machine as it finds it then
    about: str  # what it acts on, in words, where no parameter names it

    def unfit(self, params: Json) -> str:
        """What is wrong with `params` in themselves, "" for nothing: no fact is looked at, nothing raised."""

    def undo_of(self, params: Json) -> Undo:
        """How far the undo of a step with `params` restores what was: `undo_class`, or less."""

    def lifetime_of(self, params: Json) -> Lifetime:
        """What of a step with `params` survives a reboot: `lifetime`, or more."""

    def not_in_hooks(self, params: Json) -> str:
        """The kind of a step with `params`, or of what undoes it, that is not `in_hooks`; "" where there is none."""

    def resource(self, params: Json) -> str:
        """The resource that a step with `params` changes: "module:…", "unit:…", "sysfs:…"."""

    def touches(self, params: Json) -> tuple[str, ...]:
        """Further resources that it locks."""

    def baseline(self, params: Json, host: Host) -> Json:
        """What is to be put back, from the facts."""

    def check(self, proposal: StepProposal, host: Host) -> Iterable[Finding]:
        """What speaks against it, from the facts, before anything is touched. Holders are the planner's business."""

    def needs(self, params: Json) -> tuple[str, str]:
        """The kind and resource of the step that makes this one vain while somebody else holds it; "" for none."""

    def put_back(self, params: Json) -> str:
        """What its undo brings about, in words; "" where the baseline says it."""

    def makes(self, params: Json) -> tuple[str, ...]:
        """The files that are there, or say something else, when it has been applied."""

    def reloads(self, params: Json) -> tuple[str, ...]:
        """The modules that are loaded again by its undo."""

    def await_apply(self, step: Step, machine: Machine) -> None:
        """Wait, while nothing is locked for it, for what may spare the apply its own wait; changes nothing."""

    def await_undo(self, step: Step, machine: Machine) -> None:
        """The same before an undo. That it has come true is looked at again under the lock."""

    def guard(self, step: Step, machine: Machine) -> None:
        """Look once more immediately before apply; changes nothing. Raises StepFailed: the step is not undone then."""

    def apply(self, step: Step, machine: Machine) -> str | None:
        """Do it. Return why there was nothing to do, or None.

        Raises StepRefused when it has not changed anything yet; after StepFailed or OSError the step is undone.
        """

    def probe(self, step: Step, machine: Machine) -> State:
        """What the machine says, whatever the journal says."""

    def undo(self, step: Step, machine: Machine) -> str | None:
        """Put the baseline back; idempotent. Return why there was nothing to do, or None. Raises StepFailed, OSError.

        Never called where `probe` answers BEFORE, STUCK or FOREIGN.
        """

    def foreign(self, step: Step, machine: Machine) -> str:
        """Where `probe` answers FOREIGN: a sentence that names what is there, and the command that removes it."""

    def render_undo(self, step: Step, paths: Paths) -> tuple[str, ...]:
        """The undo as lines of POSIX sh, each idempotent, using the helper functions of undo.sh."""


# Lies above this room, and each kind is imported when a step of it is met.
VOCABULARY = f"{__name__.partition('.')[0]}.kinds"


@cache
def kind(name: str) -> Kind:
    """The kind called `name`, looked for once; imports only its own module. Raises VfioctlError("step.unknown")."""
    modules = importlib.import_module(VOCABULARY).MODULES
    if name not in modules:
        raise VfioctlError("step.unknown", f"There is no step kind {name!r}; known are {', '.join(modules)}.")
    found: Kind = importlib.import_module(f"{VOCABULARY}.{modules[name].replace('/', '.')}").KIND
    return found


def is_condition(condition: Condition) -> bool:
    """Whether the vocabulary has such a condition, with these arguments."""
    given = {"kind": condition.kind, "args": condition.args}
    return bool(importlib.import_module(f"{VOCABULARY}.conditions").CONDITION.fits(given))
