"""The parts that one process works with, put together in one place and passed on. Holds no state but connections."""

from __future__ import annotations

import sys
from collections.abc import Callable

from vfioctl.checking import TYPE_CHECKING
from vfioctl.frozen import field, frozen, replace
from vfioctl.paths import Paths
from vfioctl.proc import Programs

if TYPE_CHECKING:
    from vfioctl.txn.clock import Stopwatch
    from vfioctl.txn.engine import Turn
    from vfioctl.txn.journal import Moment
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.plan import Plan
    from vfioctl.txn.settling import Case, Settling
    from vfioctl.txn.transaction import Transaction
    from vfioctl.virt.connection import Connection


def quiet(_moment: Moment) -> None:
    """The observer that does nothing."""


@frozen
class Composition:
    """`self_argv` starts this same composition in another process; `observe` sees each moment of each transaction.

    `opened`: the connections to libvirt, by URI: each is opened once for all that a process plans and does.
    """

    paths: Paths
    programs: Programs
    self_argv: tuple[str, ...]
    observe: Callable[[Moment], None] = quiet
    opened: dict[str, Connection] = field(default_factory=dict)

    @property
    def interpreter(self) -> tuple[str, ...]:
        """What starts an interpreter that takes nothing from the caller's environment: `python -I`."""
        return self.self_argv[:2]

    def owned(self, directory: str) -> Composition:
        """The same host with the state of somebody who is not root, in their `directory`."""
        return replace(self, paths=replace(self.paths, own=directory))

    def machine(self, *lock_fds: int) -> Machine:
        """The machine, whose helper programs inherit `lock_fds`."""
        from vfioctl.txn.machine import Machine  # `--help` composes too, and needs no machine

        return Machine(self.paths, self.programs.holding(*lock_fds), opened=self.opened)

    def settling(self, case: Case) -> Settling:
        """How an operation of a plugin's is ended."""
        from vfioctl.plugin.advice import settling

        return settling(case)

    def transaction(
        self, plan: Plan, fds: tuple[int, ...] = (), *, watch: Stopwatch | None = None, stop: Callable[[], bool] = bool,
        turn: Turn | None = None,
    ) -> Transaction:
        """The transaction of `plan`; helper programs inherit the locks `fds`. Without `turn` the caller has all."""
        from vfioctl.txn.engine import held
        from vfioctl.txn.transaction import Transaction

        return Transaction(
            self.machine(*fds), plan, watch=watch, stop=stop, turn=turn or held, observe=self.observe
        )


def compose(root: str = "/", module: str = "vfioctl.entry") -> Composition:
    """The parts of the host below `root`, started again through `module`."""
    paths = Paths(root)
    argv = (sys.executable, "-I", "-m", module, *(("--root", root) if root != "/" else ()))
    return Composition(paths, Programs(paths.programs), argv)
