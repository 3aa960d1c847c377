"""What the kinds share that change or remove the bytes of a volume: no program of this host may have it open.

Guests are found by what libvirt says of them, and by QEMU's locks; whoever else has the file by what /proc shows. That
is looked at outside of the thread that asks libvirt, since a child of ours makes the pass.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import StepRefused, VfioctlError
from vfioctl.findings import Finding
from vfioctl.kinds.libvirt.change import LOOK
from vfioctl.kinds.libvirt.pools import is_here
from vfioctl.kinds.libvirt.volumes import Volume, VolumeChange

if TYPE_CHECKING:
    from vfioctl.host.host import Host
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Json, Step, StepProposal

BUSY = "disk.busy"


class Alone(VolumeChange):
    """A change of a volume that nobody has open; a kind says where that does not matter."""

    def may_be_open(self, params: Json) -> bool:  # noqa: ARG002
        """Whether somebody is to have it open, as the guest through which it is changed."""
        return False

    def check(self, proposal: StepProposal, host: Host) -> Iterable[Finding]:
        from vfioctl.txn.machine import Machine

        found = tuple(super().check(proposal, host))
        if not any(one.code != BUSY for one in found):
            try:
                self._must_be_alone(proposal.params, Machine.of(host))
            except VfioctlError as error:
                found = (Finding(error.code, error.message, hint=" ".join(error.hints)),)
        yield from found

    def guard(self, step: Step, machine: Machine) -> None:
        try:
            super().guard(step, machine)
        except StepRefused as error:
            if error.code == BUSY:
                self._must_be_alone(step.params, machine)  # which says who it is
            raise
        if self.probe(step, machine) not in self.goes_on:
            self._must_be_alone(step.params, machine)

    def _must_be_alone(self, params: Json, machine: Machine) -> None:
        if is_here(params) and not self.may_be_open(params):
            must_have_no_user(machine, self.ask(machine, params, _path, LOOK))


def must_have_no_user(machine: Machine, path: str, *, writing: bool = False) -> None:
    """Raise StepRefused("disk.busy") where a process has `path` open, to write to it with `writing`, or a loop device
    shows it. One that is gone has none."""
    from vfioctl.host.file_users import users_of_file

    found: tuple[str, ...] = ()
    with suppress(OSError):  # not for us to see
        found = users_of_file(machine.paths, machine.reach.ask, path, writing=writing) if path else ()
    if found:
        said = f"{path} is {'being written to' if writing else 'in use'} by {', '.join(found)}."
        raise StepRefused(BUSY, said, hints=tuple(_end_of(user) for user in found))


def _end_of(user: str) -> str:
    """What helps against a user of a file, as `users_of_file` calls it."""
    return f"losetup --detach {user}" if user.startswith("/dev/") else f"Wait for {user}, or end it."


def _path(volume: Volume) -> str:
    return "" if (found := volume.found) is None else str(found.path())
