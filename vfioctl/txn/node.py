"""What runs, settles and follows operations needs to know of the host that it works on. Types only."""

from __future__ import annotations

from collections.abc import Callable

from vfioctl.checking import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Protocol

    from vfioctl.paths import Paths
    from vfioctl.proc import Programs
    from vfioctl.txn.clock import Stopwatch
    from vfioctl.txn.engine import Turn
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.plan import Plan
    from vfioctl.txn.settling import Case, Settling
    from vfioctl.txn.transaction import Transaction
else:
    Protocol = object


class Node(Protocol):
    """A host with the state of one owner: root's, or that of a user who runs operations without root."""

    @property
    def paths(self) -> Paths: ...

    @property
    def programs(self) -> Programs: ...

    @property
    def self_argv(self) -> tuple[str, ...]:
        """What starts us again on the same node."""

    def machine(self, *lock_fds: int) -> Machine: ...

    def settling(self, case: Case) -> Settling:
        """How an operation that the core does not know is ended: as its plugin advises where there is one."""

    def transaction(
        self, plan: Plan, fds: tuple[int, ...] = (), *, watch: Stopwatch | None = None, stop: Callable[[], bool] = bool,
        turn: Turn | None = None,
    ) -> Transaction: ...
