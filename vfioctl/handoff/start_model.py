"""What the looks before a start share. Looks at nothing itself."""

from __future__ import annotations

from vfioctl.events.model import Needs
from vfioctl.frozen import frozen
from vfioctl.paths import Paths
from vfioctl.plugin.types import Request, StepProposal
from vfioctl.shell import argument


@frozen
class Start:
    """A start that is about to happen: its needs, and the `steps` of the plan that run before QEMU does."""

    request: Request
    needs: Needs
    steps: tuple[StepProposal, ...] = ()

    @property
    def paths(self) -> Paths:
        return self.request.host.paths

    def edit(self, what: str) -> str:
        """The hint that names the command to change the domain."""
        return f"{what} with: virsh edit {argument(self.request.guest)}"
