"""volume.resize: gives a volume another size: offline while no guest that comes to it runs, else through that guest.

A guest's disk only grows while it runs: QEMU would cut it without a question. The data stay where they are.
"""

from __future__ import annotations

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import StepRefused
from vfioctl.kinds.libvirt.change import URI
from vfioctl.kinds.libvirt.domains import Domain
from vfioctl.kinds.libvirt.pools import is_group, name_of, path_of
from vfioctl.kinds.libvirt.volume_alone import Alone
from vfioctl.kinds.libvirt.volume_needs import (
    must_be_at_rest,
    must_be_below_nothing,
    must_be_in_no_snapshot,
    must_not_be_open,
    users,
)
from vfioctl.kinds.libvirt.volumes import VOLUME, Volume
from vfioctl.shell import argument
from vfioctl.txn.shape import COUNT, NAME, UUID, Shape, many, optional
from vfioctl.txn.step import State, Undo

if TYPE_CHECKING:
    from typing import Any

    from vfioctl.paths import Paths
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Json, Step


class VolumeResize(Alone):
    """{uri, pool, name, former, size, domains?, running?, target?}: pool: its UUID; former, size: bytes that a guest
    sees, now and then; domains: the UUIDs of the guests that have it, which do not start meanwhile; running: the UUID
    of the one that runs, whose disk target grows with it"""

    name = "volume.resize"
    summary = "Gives a volume another size, also under a running guest where it grows; not one of a volume group."
    one_way = True  # what is cut off is gone, and what a guest has written to the new part would be
    undo_class = Undo.NONE
    takes = Shape(
        uri=URI, pool=UUID, name=VOLUME, former=COUNT, size=COUNT, domains=optional(many(UUID)),
        running=optional(UUID), target=optional(NAME),
    )  # fmt: skip

    def touches(self, params: Json) -> tuple[str, ...]:
        return tuple(f"domain:{uuid}" for uuid in params.get("domains", ()))

    def may_be_open(self, params: Json) -> bool:
        return bool(params.get("running", ""))

    def must_fit(self, params: Json, thing: Volume, machine: Machine) -> None:
        _must_be_given_sizes(thing)
        present = thing.described
        if present is None or present.capacity != params["former"]:
            said = f"The volume {params['name']} was changed since this was planned, or is gone."
            raise StepRefused("volume.changed", said, hints=("Look at it, then plan it once more.",))
        if not _running(params, thing):
            must_not_be_open(params, present.path)
            found = users(machine, params, present.path)
            must_be_at_rest(found, present.path)
            must_be_below_nothing(found, present.path)
            if found.snapshots or params["size"] < params["former"]:
                must_be_in_no_snapshot(found, present.path)
        elif params["size"] < params["former"]:
            said = f"The volume {params['name']} is a disk of a running guest, and is never cut."
            raise StepRefused("volume.busy", said, hints=("Shut the guest down first.",))

    def state(self, step: Step, paths: Paths, thing: Volume) -> State:  # noqa: ARG002
        present = thing.described
        if present is None:
            return State.FOREIGN
        known = {step.params["size"]: State.AFTER, step.params["former"]: State.BEFORE}
        return known.get(present.capacity, State.FOREIGN)

    def apply(self, step: Step, machine: Machine) -> str | None:
        return self.on(step, machine, lambda volume: self._apply(step, machine, volume))

    def _apply(self, step: Step, machine: Machine, volume: Volume) -> str | None:
        if self.state(step, machine.paths, volume) is State.AFTER:
            return "it has that size already"
        _resize(step, volume)
        return None

    def undo(self, step: Step, machine: Machine) -> str | None:  # noqa: ARG002
        return f"{step.params['name']} keeps its size"

    def foreign(self, step: Step, machine: Machine) -> str:  # noqa: ARG002
        return f"The volume {step.params['name']} is gone, or somebody else has given it another size; it stays so."


def _must_be_given_sizes(volume: Volume) -> None:
    """libvirt has no lvresize(8): in a volume group it changes nothing (storage_backend_logical.c)."""
    if not is_group(pool := volume.within.XMLDesc(0)):
        return
    name = name_of(pool)
    size = f"lvextend --size +SIZE {argument(f'{path_of(pool)}/{volume.name}')}"
    said = f"The volume {volume.name} is in the volume group of the pool {name}, where libvirt changes no size."
    raise StepRefused("volume.fixed", said, hints=(f"{size}, then: vfioctl pool refresh {argument(name)}",))


def _running(params: Json, volume: Volume) -> Any | None:
    """The guest that is to grow with it, while it runs: it may be off by now, as after a power cut."""
    running = params.get("running", "")
    found = Domain(volume.connection, running).found if running else None
    return found if found is not None and found.isActive() else None


def _resize(step: Step, volume: Volume) -> None:
    import libvirt

    params = step.params
    if guest := _running(params, volume):
        guest.blockResize(params["target"], params["size"], libvirt.VIR_DOMAIN_BLOCK_RESIZE_BYTES)
        volume.refresh()
        return
    cut = libvirt.VIR_STORAGE_VOL_RESIZE_SHRINK if params["size"] < params["former"] else 0
    volume.handle.resize(params["size"], cut)


KIND = VolumeResize()
