"""The machine as steps see it: paths, facts, programs, and who watches a long step. No plan, no journal."""

from __future__ import annotations

from collections.abc import Callable

from vfioctl.checking import TYPE_CHECKING
from vfioctl.frozen import field, frozen, replace
from vfioctl.host.host import Host
from vfioctl.paths import Paths
from vfioctl.proc import Programs

if TYPE_CHECKING:
    from vfioctl.reach import Reach
    from vfioctl.virt.connection import Connection


def unwatched(*_said: object) -> None:
    """What a step tells, and what may stop it, where nobody watches it."""


@frozen
class Machine:
    """What a step may use. `programs` pass the transaction's locks on to what they start."""

    paths: Paths
    programs: Programs
    report: Callable[[int, int, str], None] = unwatched
    check: Callable[[], None] = unwatched
    opened: dict[str, Connection] = field(default_factory=dict)  # by URI, for as long as the process works

    @classmethod
    def of(cls, host: Host) -> Machine:
        """The machine whose facts are `host`, for a check that looks at more than those."""
        return cls(host.paths, host.programs, opened=host.opened)

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
        return Host(self.paths, self.programs, self.opened)

    def libvirt(self, uri: str) -> Connection:
        """The connection to the libvirt at `uri`, opened when first asked for. Raises VfioctlError("libvirt.*")."""
        from vfioctl.virt.connection import borrowed  # only steps of libvirt ask it
        from vfioctl.virt.nodes import of_uri

        return borrowed(self.opened, of_uri(uri))

    @property
    def reach(self) -> Reach:
        """For looks at paths that may be on a share whose server is gone, and for changes there."""
        from vfioctl.reach import Reach  # few steps need it

        return Reach(self.programs.silent)
