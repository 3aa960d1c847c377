"""The parts that one process works with, put together in one place and passed on. Holds no state of its own."""

from __future__ import annotations

import sys
from collections.abc import Callable

from vfioctl.checking import TYPE_CHECKING
from vfioctl.frozen import frozen
from vfioctl.paths import Paths
from vfioctl.proc import Programs

if TYPE_CHECKING:
    from vfioctl.txn.machine import Machine


def quiet(_line: str) -> None:
    """The observer that does nothing."""


@frozen
class Composition:
    """`self_argv` starts this same composition in another process; `on_record` sees each line of the journal."""

    paths: Paths
    programs: Programs
    self_argv: tuple[str, ...]
    on_record: Callable[[str], None] = quiet

    @property
    def interpreter(self) -> tuple[str, ...]:
        """What starts an interpreter that takes nothing from the caller's environment: `python -I`."""
        return self.self_argv[:2]

    def machine(self, *lock_fds: int) -> Machine:
        """The machine, whose helper programs inherit `lock_fds`."""
        from vfioctl.txn.machine import Machine  # `--help` composes too, and needs no machine

        return Machine(self.paths, self.programs.holding(*lock_fds))


def compose(root: str = "/", module: str = "vfioctl.entry") -> Composition:
    """The parts of the host below `root`, started again through `module`."""
    paths = Paths(root)
    argv = (sys.executable, "-I", "-m", module, *(("--root", root) if root != "/" else ()))
    return Composition(paths, Programs(paths.programs), argv)
