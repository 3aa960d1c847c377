"""How a user says what a new volume is: blank, above a template, or as a snapshot has kept a disk. Only plans."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vfioctl.plugin import Refused, argument, as_size, find_template, frozen, size, verify_template
from vfioctl_storage.commands.snapshot_disk import disk_at
from vfioctl_storage.commands.volume_copy import derived
from vfioctl_storage.commands.volume_work import RAW, is_marked, must_hold, must_lie_well, must_take, step
from vfioctl_storage.names import NOTHING_CHANGED

if TYPE_CHECKING:
    from typing import Any

    from vfioctl.plugin import Call, Connection, Pool, StepProposal

TABLES = 8192  # bytes of a guest for each byte of tables: an entry of 8 for a cluster of 64 KiB
LARGEST = 1 << 63
SPARSE, METADATA, FULL = PREALLOCATIONS = ("sparse", "metadata", "full")
TAKES = {FULL: 1, METADATA: TABLES}  # of how many bytes that a guest sees one is taken at once


@frozen
class Asked:
    """`wanted` is a size, `snapshot` GUEST@SNAPSHOT, `disk` the target of one of its disks; "" for none."""

    wanted: str
    template: str
    snapshot: str
    disk: str
    linked: bool
    form: str
    preallocation: str

    @property
    def is_taken(self) -> bool:
        """Whether it has its room at once: what does not fit is refused."""
        return self.preallocation == FULL

    def must_be_clear(self) -> None:
        """Raise Refused("volume.no_size", "volume.origin", "volume.preallocation")."""
        if not (self.wanted or self.template or self.snapshot):
            said = "A blank volume needs a size."
            hint = "Give --size, --template or --snapshot."
            raise Refused("volume.no_size", said, state=NOTHING_CHANGED, hints=(hint,))
        if self.template and self.snapshot:
            raise _unclear("A volume is made of a template or of a snapshot, not of both", "Give one of them.")
        if self.snapshot and self.wanted:
            raise _unclear("A volume of a snapshot is as large as the disk was", "Leave --size out; resize it later.")
        if (self.disk or self.linked) and not self.snapshot:
            raise _unclear("--disk and --linked are of a snapshot", "Leave them out: above a template it lies anyhow.")
        self._must_have_room()

    def _must_have_room(self) -> None:
        """Raise Refused("volume.preallocation") for room that cannot be taken beforehand."""
        if self.template and (self.form == RAW or self.preallocation != SPARSE):
            said = "What lies above a template is qcow2, and takes room when it is written to."
            raise _no_room(said, "Leave these options out.")
        if self.snapshot and self.preallocation != SPARSE:
            raise _no_room("What is made of a snapshot takes the room that it needs.", "Leave --preallocation out.")
        if self.form == RAW and self.preallocation == METADATA:
            said = "A raw volume has no metadata: it is sparse, or has all its room at once."
            raise _no_room(said, "Give --preallocation full.")

    def step(self, call: Call, connection: Connection, place: Pool, name: str) -> StepProposal:
        """The step that makes it as `name` in `place`. Raises Refused."""
        count = size(self.wanted) if self.wanted else 0
        must_take(connection, place, name, self.form, count, hint="Give --image-format raw.")
        if self.snapshot:
            return self._of_snapshot(call, connection, place, name)
        more: dict[str, Any] = {"preallocation": self.preallocation}
        must_hold(connection, place, name, count // TAKES.get(self.preallocation, LARGEST))
        if self.template:
            count, more = _of_template(connection, self.template, count)
        return step(
            "volume.create", connection.node, place, name, f"{as_size(count)} for a guest", format=self.form,
            size=count, marked=is_marked(call, connection.node, place), **more,
        )  # fmt: skip

    def _of_snapshot(self, call: Call, connection: Connection, place: Pool, name: str) -> StepProposal:
        """What lies above the image must be where `vfioctl snapshot delete` looks for it: beside it."""
        from_ = must_lie_well(call, connection, disk_at(call, connection, self.snapshot, self.disk))
        if self.linked and from_.pool.uuid != place.uuid:
            said = f"The image of {self.snapshot} is in pool {from_.pool.name}: what lies above it must be there too"
            words = f"{argument(from_.pool.name)} {argument(name)} --snapshot {argument(self.snapshot)}"
            raise _unclear(said, f"Make it there: vfioctl volume create {words} --linked, or copy it.")
        return derived(call, connection, from_, place, name, form=self.form, linked=self.linked)


def _of_template(connection: Connection, word: str, count: int) -> tuple[int, dict[str, Any]]:
    """The size, and what the step needs more. Raises Refused where the template cannot be used, or was changed."""
    found = find_template(connection, word)
    data, below = found.usable()
    verify_template(connection, found)
    return count or data.size, {"backing": below.path, "backing_format": data.format}


def _unclear(said: str, hint: str) -> Refused:
    return Refused("volume.origin", f"{said}.", state=NOTHING_CHANGED, hints=(hint,))


def _no_room(said: str, hint: str) -> Refused:
    return Refused("volume.preallocation", said, state=NOTHING_CHANGED, hints=(hint,))
