"""foreign.run: calls a plugin's own function. Its undo is said in kinds of the core, so it needs no plugin."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterable, Iterator, Mapping

from vfioctl import guard
from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import DeadlineExceeded, StepFailed, StepRefused
from vfioctl.findings import Finding
from vfioctl.frozen import replace
from vfioctl.kinds import MODULES
from vfioctl.kinds.common import Primitive
from vfioctl.package import writable
from vfioctl.shell import call
from vfioctl.txn.clock import Deadline
from vfioctl.txn.kind import kind
from vfioctl.txn.shape import FLAG, TEXT, Form, Shape, optional
from vfioctl.txn.step import Lifetime, Scope, State, StepProposal, Undo, strongest

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from vfioctl.host.host import Host
    from vfioctl.paths import Paths
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Json, Step

NAME = "foreign.run"
OBJECT = Form("an object", lambda value: isinstance(value, Mapping))


def _is_target(value: Any) -> bool:
    module, colon, name = value.partition(":") if isinstance(value, str) else ("", "", "")
    return bool(colon) and name.isidentifier() and all(part.isidentifier() for part in module.split("."))


def _is_undo(value: Any) -> bool:
    """Whether it is a step of the core that needs no look at how it was before."""
    if not isinstance(value, Mapping) or value.keys() != {"kind", "params"} or value["kind"] == NAME:
        return False
    if not isinstance(value["kind"], str) or value["kind"] not in MODULES or kind(value["kind"]).marks:
        return False
    return not kind(value["kind"]).unfit(value["params"])


def _are_undos(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(map(_is_undo, value))


TARGET = Form('"module:function"', _is_target)
UNDOS = Form("a list of {kind, params} of the core, none of which marks what it makes", _are_undos)


class ForeignRun(Primitive):
    """{target, resource, params?, undo_with?, for_good?}: target: "module:function" of the plugin, called with params
    and the machine; resource: what it changes, as "led:front"; undo_with: the steps of the core that undo it, run in
    reverse, which must bear being run twice, and after the function has failed or was interrupted at the end of the
    step's deadline; for_good: there is no undo"""

    name = NAME
    summary = "Calls a function of a plugin; undone by the steps of the core that the plan names, without the plugin."
    blind = True
    opaque = True
    undo_class = Undo.RECREATED
    scope = Scope.LEASE
    lifetime = Lifetime.BOOT
    takes = Shape(
        target=TARGET, resource=TEXT, params=optional(OBJECT), undo_with=optional(UNDOS), for_good=optional(FLAG)
    )
    keeps = Shape()

    def undo_of(self, params: Json) -> Undo:
        return self.undo_class if params.get("undo_with") else Undo.NONE

    def lifetime_of(self, params: Json) -> Lifetime:
        """As long as that of any step that undoes it: what there is to undo on a disk is still there after a reboot."""
        lifetime = self.lifetime
        for undo in _undos(params):
            lifetime = strongest(lifetime, kind(undo["kind"]).lifetime_of(undo["params"]))
        return lifetime

    def not_in_hooks(self, params: Json) -> str:
        """The first of what undoes it that a hook may not have: it would run while libvirt waits for the hook."""
        return next((undo["kind"] for undo in _undos(params) if not kind(undo["kind"]).in_hooks), "")

    def put_back(self, params: Json) -> str:
        return ", ".join(f"{undo['kind']} of {kind(undo['kind']).resource(undo['params'])}" for undo in _undos(params))

    def resource(self, params: Json) -> str:
        return f"foreign:{params['resource']}"

    def touches(self, params: Json) -> tuple[str, ...]:
        return tuple(dict.fromkeys(filter(None, (
            kind(undo["kind"]).resource(undo["params"]) for undo in _undos(params)
        ))))  # fmt: skip

    def baseline(self, params: Json, host: Host) -> Json:  # noqa: ARG002
        return {}

    def check(self, proposal: StepProposal, host: Host) -> Iterable[Finding]:
        params = proposal.params
        if wrong := self.unfit(params):
            yield Finding("foreign.broken", f"{proposal.id} is not what {self.name} takes: {wrong}.")
            return
        if not params.get("undo_with") and not params.get("for_good"):
            yield Finding("foreign.no_undo", f"{proposal.id} says neither which steps of the core undo it nor that it "
                          "is for good.", hint="See who proposes it with: vfioctl plugins list")  # fmt: skip
        try:
            _loaded(params["target"])
        except StepRefused as error:
            yield Finding(error.code, f"{proposal.id}: {error.message}")
        for undo in _undos(params):
            wanted = StepProposal(proposal.id, undo["kind"], undo["params"], proposal.reason)
            yield from kind(undo["kind"]).check(wanted, host)

    def apply(self, step: Step, machine: Machine) -> str | None:
        target, limit = step.params["target"], Deadline(step.deadline)
        function = _loaded(target)
        called = guard.call(lambda: function(step.params.get("params", {}), machine), alarm=limit.left)
        if isinstance(called.error, guard.Hung) or not (called.error or limit.left):  # no clock ends it in a thread
            raise DeadlineExceeded("step.deadline", f"{target} did not return within {step.deadline:.3g} s.")
        return _note(target, called)

    def probe(self, step: Step, machine: Machine) -> State:  # noqa: ARG002
        """Only the function knows what it did, so its undo is run whenever the journal says that it was begun."""
        return State.BETWEEN

    def undo(self, step: Step, machine: Machine) -> str | None:
        undos = tuple(_steps(step))
        for one in undos:
            form = kind(one.kind)
            form.guard(one, machine)
            form.apply(one, machine)
        return None if undos else "it was for good"

    def render_undo(self, step: Step, paths: Paths) -> tuple[str, ...]:  # noqa: ARG002
        """What it takes is more than a shell can be trusted with."""
        return (call("say", f"{step.resource} is left to: vfioctl recover"),) if _undos(step.params) else ()


def _undos(params: Json) -> tuple[Mapping[str, Any], ...]:
    """What a plugin says of its undo; nothing where that is not what it may be, which `check` refuses."""
    undos = params.get("undo_with") or ()
    return tuple(undos) if _are_undos(undos) else ()


def _steps(step: Step) -> Iterator[Step]:
    """The steps that undo `step`, the last one first."""
    for undo in reversed(_undos(step.params)):
        resource = kind(undo["kind"]).resource(undo["params"])
        yield replace(step, kind=undo["kind"], params=undo["params"], resource=resource, baseline={})


def _note(target: str, called: guard.Called) -> str | None:
    """What the function `target` says of its work. Raises what it has raised, and StepFailed("plugin.bad_result")."""
    if isinstance(called.error, Exception):
        raise called.error
    if called.error:  # sys.exit, which would end the hook with its status: libvirt takes 0 for success
        raise StepFailed("plugin.failed", f"{target} calls sys.exit: {called.problem}.") from called.error
    said = called.value
    if said is None or isinstance(said, str):
        return said
    raise StepFailed("plugin.bad_result", f"{target} returned {type(said).__name__} {said!r:.80}, not a text or None.")


def _loaded(target: str) -> Callable[[Json, Machine], object]:
    """The function `target`. Raises StepRefused("foreign.broken"): nothing of it has run."""
    module, _, name = target.partition(":")
    _must_be_safe(module)
    called = guard.call(lambda: getattr(importlib.import_module(module), name))
    if called.error:
        raise StepRefused("foreign.broken", f"{target} cannot be loaded: {called.problem}.") from called.error
    if not callable(called.value):
        raise StepRefused("foreign.broken", f"{target} is no function.")
    function: Callable[[Json, Machine], object] = called.value
    return function


def _must_be_safe(module: str) -> None:
    """Root runs no code that others can change, although it was judged when the plan was made: that was earlier."""
    if os.geteuid() == 0 and (why := writable(module)):
        raise StepRefused("foreign.broken", f"{module} is not run as root: {why}.")


KIND = ForeignRun()
