"""The machine as steps see it: paths, facts, programs, and writes that record a stuck device. No plan, no journal."""

from __future__ import annotations

from collections.abc import Callable

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import Stuck
from vfioctl.frozen import frozen, replace
from vfioctl.host.host import Host
from vfioctl.host.stuck import StuckDevice, read_stuck, record_stuck
from vfioctl.kernel_io import StuckWrite
from vfioctl.paths import Paths
from vfioctl.proc import Programs

if TYPE_CHECKING:
    from vfioctl.reach import Reach


def unwatched(*_said: object) -> None:
    """What a step tells, and what may stop it, where nobody watches it."""


@frozen
class Machine:
    """What a step may use. `programs` pass the transaction's locks on to what they start."""

    paths: Paths
    programs: Programs
    report: Callable[[int, int, str], None] = unwatched
    check: Callable[[], None] = unwatched

    def holding(self, *fds: int) -> Machine:
        """The same, whose programs inherit `fds` as well: the locks of one step."""
        return replace(self, programs=self.programs.holding(*fds)) if fds else self

    def watched(self, report: Callable[[int, int, str], None], check: Callable[[], None]) -> Machine:
        """The same for one step, whose progress goes to `report`; `check` raises where it has to stop."""
        return replace(self, report=report, check=check)

    def progress(self, done: int, total: int, unit: str) -> None:
        """Say how far a long step is: `done` of `total` in `unit` ("bytes"); total is 0 where nobody knows it.

        As often as it suits the step: it is passed on a few times a second.
        """
        self.report(done, total, unit)

    def checkpoint(self) -> None:
        """Raise StepFailed where the step has to stop: it was cancelled, its time is over, or it makes no progress.

        What it has done so far is undone after that.
        """
        self.check()

    def host(self) -> Host:
        """Facts read anew."""
        return Host(self.paths, self.programs)

    @property
    def reach(self) -> Reach:
        """For looks at paths that may be on a share whose server is gone, and for changes there."""
        from vfioctl.reach import Reach  # few steps need it

        return Reach(self.programs.silent)

    def stuck(self, address: str) -> StuckDevice | None:
        """The stuck write on `address`, while its process still waits in the kernel."""
        return read_stuck(self.paths, address)

    def refuse_stuck(self, address: str) -> None:
        """Raise Stuck when a kernel write on `address` has not returned."""
        if stuck := self.stuck(address):
            raise Stuck(
                "device.stuck",
                f"{address} is stuck: process {stuck.pid} waits in the kernel writing {stuck.value!r} to {stuck.path}.",
                state="Nothing is written to it.",
                hints=("See what to do with: vfioctl status",),
            )

    def write_device(self, address: str, path: str, value: str, *, deadline: float) -> None:
        """Write to a kernel file under the device lock of `address`, in a child; record the device when it is stuck."""
        self.swap_device(address, path, value, deadline=deadline)

    def swap_device(
        self, address: str, path: str, value: str, *, deadline: float, unless: tuple[str, ...] = ()
    ) -> tuple[str, str]:
        """Write as `write_device` does unless the file says one of `unless`; return what it said before and after."""
        self.refuse_stuck(address)
        try:
            return self.programs.writer.swap(path, value, deadline=deadline, unless=unless)
        except StuckWrite as stuck:
            record_stuck(self.paths, address, stuck.pid, stuck.path, stuck.value)
            raise
