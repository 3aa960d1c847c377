"""snapshot.follow: lets libvirt's record of a snapshot name another image for what it holds. Touches no disk."""

from __future__ import annotations

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import StepRefused
from vfioctl.kinds.libvirt.documents import moved, names_one
from vfioctl.kinds.libvirt.domains import SNAPSHOT, URI, Domain, SnapshotChange, on
from vfioctl.kinds.libvirt.snapshot_record import record
from vfioctl.txn.shape import ABSOLUTE, UUID, Shape, many, one_of, optional, table
from vfioctl.txn.step import State, Undo

if TYPE_CHECKING:
    from vfioctl.paths import Paths
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Json, Step

STAYS = "it names what holds the same, and goes on to"


class SnapshotFollow(SnapshotChange):
    """{uri, uuid, name, images, formats, gone?}: images: by the path of each image that is named now that of the one
    that holds what it did; formats: of those; gone: images that nobody needs any more. A chain with one of them is left
    out: libvirt looks at the images then"""

    name = "snapshot.follow"
    summary = "Lets libvirt's record of a snapshot name what holds it now, and no image that is gone; touches none."
    undo_class = Undo.NONE
    takes = Shape(
        uri=URI, uuid=UUID, name=SNAPSHOT, images=table(ABSOLUTE, ABSOLUTE),
        formats=table(ABSOLUTE, one_of("qcow2", "raw")), gone=optional(many(ABSOLUTE)),
    )  # fmt: skip

    def unfit(self, params: Json) -> str:
        if found := super().unfit(params):
            return found
        unsaid = sorted(set(params["images"].values()) - params["formats"].keys())
        return f"formats lacks {unsaid[0]}" if unsaid else ""

    def put_back(self, params: Json) -> str:  # noqa: ARG002
        return STAYS

    def must_fit(self, params: Json, domain: Domain, machine: Machine) -> None:  # noqa: ARG002
        if not _names_one(params, domain):
            said = f"libvirt's snapshot {params['name']!r} was changed since this was planned, or is gone."
            raise StepRefused("snapshot.changed", said, hints=("Look at it, then plan it once more.",))

    def state(self, step: Step, paths: Paths, domain: Domain) -> State:  # noqa: ARG002
        return State.BEFORE if _names_one(step.params, domain) else State.AFTER

    def apply(self, step: Step, machine: Machine) -> str | None:
        return on(step, machine, lambda domain: _apply(step, domain))

    def undo(self, step: Step, machine: Machine) -> str | None:  # noqa: ARG002
        return STAYS


def _names_one(params: Json, domain: Domain) -> bool:
    return names_one(domain.record(params["name"]), params["images"], params.get("gone", ()))


def _apply(step: Step, domain: Domain) -> str | None:
    params = step.params
    found = domain.snapshot(params["name"])
    if found is None or not _names_one(params, domain):
        return f"libvirt's snapshot {params['name']!r} names none of them"
    new = moved(domain.record(params["name"]), params["images"], params["formats"], params.get("gone", ()))
    record(domain, new, current=bool(found.isCurrent()))
    return None


KIND = SnapshotFollow()
