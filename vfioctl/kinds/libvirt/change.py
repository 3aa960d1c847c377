"""What the kinds share that change one thing of libvirt's: it is looked at and changed within the step's time."""

from __future__ import annotations

from abc import abstractmethod
from typing import Generic, TypeVar

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import VfioctlError
from vfioctl.findings import Finding
from vfioctl.kinds.common import Primitive
from vfioctl.txn.shape import Form, Shape, is_text
from vfioctl.txn.step import Lifetime, Scope, State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from vfioctl.host.host import Host
    from vfioctl.paths import Paths
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Json, Step, StepProposal

LOOK = 10.0  # seconds for the look of a check
URI = Form("the URI of a node", lambda value: is_text(value) and "://" in value)
Thing = TypeVar("Thing")
T = TypeVar("T")


class Change(Primitive, Generic[Thing]):
    """`uri` says which libvirt, further parameters which thing of it; a kind says in which `state` that is."""

    exclusive = True
    in_hooks = False
    scope = Scope.TRANSACTION
    lifetime = Lifetime.DISK
    keeps = Shape()
    early = True  # whether it can be judged before the steps ahead of it are done
    goes_on: tuple[State, ...] = (State.AFTER,)  # of an apply that was interrupted; there is nothing to judge any more

    @abstractmethod
    def thing(self, libvirt: Any, params: Json) -> Thing:
        """What `params` name, on libvirt's own connection."""

    @abstractmethod
    def called(self, params: Json) -> str:
        """The same in words: "the guest UUID"."""

    def ask(
        self, machine: Machine, params: Json, work: Callable[[Thing], T], deadline: float,
        watch: Callable[[], None] | None = None,
    ) -> T:  # fmt: skip
        """What `work` returns about it, within `deadline` seconds; libvirt's errors as ours.

        The step may be stopped meanwhile, in `watch`. What libvirt has begun by then may still come true.
        """
        return machine.libvirt(params["uri"]).ask(
            lambda libvirt: work(self.thing(libvirt, params)), self.called(params), limit=deadline,
            watch=watch or machine.checkpoint,
        )  # fmt: skip

    def on(self, step: Step, machine: Machine, work: Callable[[Thing], T]) -> T:
        """The same for a step, in its time."""
        return self.ask(machine, step.params, work, step.deadline)

    def baseline(self, params: Json, host: Host) -> Json:  # noqa: ARG002
        return {}

    def check(self, proposal: StepProposal, host: Host) -> Iterable[Finding]:
        from vfioctl.txn.machine import Machine

        if not self.early:
            return
        machine, params = Machine.of(host), proposal.params
        try:
            self.ask(machine, params, lambda thing: self.must_fit(params, thing, machine), LOOK)
            self.must_fit_here(params, machine)
        except VfioctlError as error:
            yield Finding(error.code, error.message, hint=" ".join(error.hints))

    def must_fit(self, params: Json, thing: Thing, machine: Machine) -> None:
        """Raise StepFailed where it must not be done as things are now; changes nothing."""

    def must_fit_here(self, params: Json, machine: Machine) -> None:
        """The same for what children of ours ask this host: outside of the thread that asks libvirt."""

    @abstractmethod
    def state(self, step: Step, paths: Paths, thing: Thing) -> State:
        """How far the step has come, by what libvirt says."""

    def guard(self, step: Step, machine: Machine) -> None:
        def look(thing: Thing) -> bool:
            is_judged = self.state(step, machine.paths, thing) not in self.goes_on
            if is_judged:
                self.must_fit(step.params, thing, machine)
            return is_judged

        if self.on(step, machine, look):
            self.must_fit_here(step.params, machine)

    def probe(self, step: Step, machine: Machine) -> State:
        return State(self.on(step, machine, lambda thing: self.state(step, machine.paths, thing)))
