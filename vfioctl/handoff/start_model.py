"""What the looks before a start share. Looks at nothing itself."""

from __future__ import annotations

from vfioctl.events.model import Needs, Share
from vfioctl.frozen import frozen, replace
from vfioctl.host.memory import PAGE
from vfioctl.paths import Paths
from vfioctl.plugin.types import Finding, Request, StepProposal
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

    @property
    def taken(self) -> frozenset[str]:
        """The PCI functions that are the guest's before QEMU starts."""
        return frozenset(device.address for device in self.request.devices)

    def given_twice(self, what: str, address: str) -> Finding:
        """The guest is to have `what`, and the function behind which it is on the host."""
        return Finding(
            "start.given_twice",
            f"{what} is behind {address} on the host, and the guest is given {address} itself: it is gone from the "
            "host before QEMU looks for it.",
            hint=self.edit("Let the guest have one of the two"),
        )

    def edit(self, what: str) -> str:
        """The hint that names the command to change the domain."""
        return f"{what} with: virsh edit {argument(self.request.guest)}"


def as_taken(needs: Needs) -> Needs:
    """`needs` as libvirt takes them: <page> of the ordinary size is no huge page (qemuBuildMemoryBackendProps)."""
    if all(share.page != PAGE for share in needs.memory):
        return needs
    return replace(needs, memory=tuple(map(_ordinary, needs.memory)))


def _ordinary(share: Share) -> Share:
    return replace(share, page=None) if share.page == PAGE else share
