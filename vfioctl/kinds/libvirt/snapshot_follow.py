"""snapshot.follow: lets libvirt's record of a snapshot name another image for what it holds. Touches no disk."""

from __future__ import annotations

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import StepRefused
from vfioctl.kinds.libvirt.documents import moved, names_one
from vfioctl.kinds.libvirt.domains import SNAPSHOT, URI, Domain, SnapshotChange, on
from vfioctl.kinds.libvirt.snapshot_record import record
from vfioctl.txn.shape import ABSOLUTE, UUID, Shape, one_of, table
from vfioctl.txn.step import State, Undo

if TYPE_CHECKING:
    from vfioctl.paths import Paths
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Json, Step

STAYS = "it names what holds the same, and goes on to"


class SnapshotFollow(SnapshotChange):
    """{uri, uuid, name, images, formats}: images: by the path of each image that is named now that of the one that
    holds what it did; formats: of those. A chain with one of them is left out: libvirt looks at the images then"""

    name = "snapshot.follow"
    summary = "Lets libvirt's record of a snapshot name the image that has taken in what it held; no disk is touched."
    undo_class = Undo.NONE
    takes = Shape(
        uri=URI, uuid=UUID, name=SNAPSHOT, images=table(ABSOLUTE, ABSOLUTE),
        formats=table(ABSOLUTE, one_of("qcow2", "raw")),
    )  # fmt: skip

    def unfit(self, params: Json) -> str:
        if found := super().unfit(params):
            return found
        unsaid = sorted(set(params["images"].values()) - params["formats"].keys())
        return f"formats lacks {unsaid[0]}" if unsaid else ""

    def put_back(self, params: Json) -> str:  # noqa: ARG002
        return STAYS

    def must_fit(self, params: Json, domain: Domain, machine: Machine) -> None:  # noqa: ARG002
        if not names_one(domain.record(params["name"]), params["images"]):
            said = f"libvirt's snapshot {params['name']!r} was changed since this was planned, or is gone."
            raise StepRefused("snapshot.changed", said, hints=("Look at it, then plan it once more.",))

    def state(self, step: Step, paths: Paths, domain: Domain) -> State:  # noqa: ARG002
        present = domain.record(step.params["name"])
        return State.BEFORE if names_one(present, step.params["images"]) else State.AFTER

    def apply(self, step: Step, machine: Machine) -> str | None:
        return on(step, machine, lambda domain: _apply(step, domain))

    def undo(self, step: Step, machine: Machine) -> str | None:  # noqa: ARG002
        return STAYS


def _apply(step: Step, domain: Domain) -> str | None:
    params = step.params
    present, found = domain.record(params["name"]), domain.snapshot(params["name"])
    if found is None or not names_one(present, params["images"]):
        return f"libvirt's snapshot {params['name']!r} names none of them"
    record(domain, moved(present, params["images"], params["formats"]), current=bool(found.isCurrent()))
    return None


KIND = SnapshotFollow()
