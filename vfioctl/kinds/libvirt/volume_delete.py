"""volume.delete: removes a volume for good: the one that was planned, unchanged, and only while nobody needs it."""

from __future__ import annotations

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import StepRefused
from vfioctl.kinds.libvirt.change import URI
from vfioctl.kinds.libvirt.volume_alone import Alone
from vfioctl.kinds.libvirt.volume_needs import must_be_unneeded, must_not_be_open, users
from vfioctl.kinds.libvirt.volumes import VOLUME, Volume
from vfioctl.txn.shape import ABSOLUTE, COUNT, FLAG, UUID, Form, Shape, is_number, optional
from vfioctl.txn.step import State, Undo

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vfioctl.findings import Finding
    from vfioctl.host.host import Host
    from vfioctl.paths import Paths
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Json, Step, StepProposal


class VolumeDelete(Alone):
    """{uri, pool, name, path, size, changed, domain?, later?}: pool: its UUID; path, size (bytes) and changed (seconds,
    0 where libvirt does not say) tell the volume that is meant: by the time of the deletion another one may have its
    name; domain: the UUID of a guest that may still have it, since an earlier step lets libvirt forget that one; later:
    what needs it goes by a step before, so that it is judged when its turn comes"""

    name = "volume.delete"
    summary = "Removes a volume for good; not one that has changed since the plan, or that a guest or a chain needs."
    one_way = True
    undo_class = Undo.NONE
    takes = Shape(
        uri=URI, pool=UUID, name=VOLUME, path=ABSOLUTE, size=COUNT, changed=Form("a time", is_number),
        domain=optional(UUID), later=optional(FLAG),
    )  # fmt: skip

    def check(self, proposal: StepProposal, host: Host) -> Iterable[Finding]:
        return () if proposal.params.get("later", False) else super().check(proposal, host)

    def must_fit(self, params: Json, thing: Volume, machine: Machine) -> None:
        if _state(params, thing) is not State.BEFORE:
            said = f"The volume {params['name']} was changed since this was planned, or is gone."
            raise StepRefused("volume.changed", said, hints=("Look at it, then plan it once more.",))
        must_not_be_open(params, params["path"])
        must_be_unneeded(users(machine, params, params["path"]), params["path"])

    def state(self, step: Step, paths: Paths, thing: Volume) -> State:  # noqa: ARG002
        return _state(step.params, thing)

    def apply(self, step: Step, machine: Machine) -> str | None:
        return self.on(step, machine, lambda volume: _delete(step, volume))

    def undo(self, step: Step, machine: Machine) -> str | None:  # noqa: ARG002
        return f"{step.params['name']} cannot be brought back"

    def foreign(self, step: Step, machine: Machine) -> str:  # noqa: ARG002
        return f"The volume {step.params['name']} is not the one that was there when this was planned, and stays."


def _state(params: Json, volume: Volume) -> State:
    present = volume.described
    if present is None:
        return State.AFTER
    same = (present.path, present.capacity, present.changed) == (params["path"], params["size"], params["changed"])
    return State.BEFORE if same else State.FOREIGN


def _delete(step: Step, volume: Volume) -> str | None:
    state = _state(step.params, volume)
    if state is State.AFTER:
        return "it is not there"
    if state is State.FOREIGN:
        raise StepRefused("volume.changed", f"The volume {step.params['name']} was changed at this moment.")
    volume.handle.delete(0)
    return None


KIND = VolumeDelete()
