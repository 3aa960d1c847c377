"""The steps of a deletion in their order: what stays takes in what it needs of the images that go. Pure.

An image that is rebased says the same to its guest at every moment: clusters are copied into it before it lets go of
what they came from (qemu-img rebase without -u), so that an interruption loses nothing. One that is written down takes
from the image that goes what that held: before the first such step the snapshot says so itself, and libvirt forgets it,
whatever becomes of the rest.
"""

from __future__ import annotations

from collections.abc import Iterator

from vfioctl.plugin import TYPE_CHECKING, StepProposal, frozen, replace
from vfioctl_snapshot import down, steps
from vfioctl_snapshot.domain_xml import chained, names_one, over_one, without_chains
from vfioctl_snapshot.facts import Facts, below, dependents
from vfioctl_snapshot.record import Part, Record, place
from vfioctl_snapshot.steps import Content, Target, content

if TYPE_CHECKING:
    from vfioctl.plugin import GuestSnapshot
    from vfioctl_snapshot.down import Down


@frozen
class Deletion:
    """The deletion of `doomed`: of the images `going`, some by `downs`. What the steps write is put into `contents`."""

    facts: Facts
    doomed: tuple[Record, ...]
    going: dict[str, Part]
    downs: tuple[Down, ...]
    contents: list[Content]

    @property
    def at(self) -> Target:
        return Target(self.facts.uri, self.facts.uuid)

    @property
    def gone(self) -> frozenset[str]:
        """The images that are no more in the end."""
        left = {path for one in self.downs for path in one.left_over}
        return frozenset((self.going.keys() - {one.base for one in self.downs}) | left)

    def steps(self) -> Iterator[StepProposal]:
        yield from self._unchained()
        for number, one in enumerate(self.downs):
            yield from self._apart(one.run)
            yield from (*self._said_to_go(), *self._forgotten(for_good=True)) if number == 0 else ()
            yield from self._down(one)
        taken = {path for one in self.downs for path in one.run}
        yield from self._apart(tuple(path for path in self.going if path not in taken))
        yield from () if self.downs else self._forgotten()
        yield from self._followed()
        yield from self._removed()

    def _kept(self, data: bytes) -> Content:
        if not (found := next((one for one in self.contents if one.data == data), None)):
            self.contents.append(found := content(data))
        return found

    def _unchained(self) -> Iterator[StepProposal]:
        """The configuration names none of the images that go; libvirt writes that of a running guest after its job."""
        xml = self.facts.xml
        if not self.facts.runs and chained(xml, self.going):
            former, new = self._kept(xml.encode()), self._kept(without_chains(xml, self.going).encode())
            yield steps.define(self.at, new.name, former.name, "libvirt reads the chain from the images")

    def _apart(self, paths: tuple[str, ...]) -> Iterator[StepProposal]:
        """What lies over `paths` is put over the first image below that stays, unless it is written down."""
        tops = {one.top for one in self.downs}
        for path in paths:
            for over in sorted(set(dependents(self.facts, path)) & self.facts.family - self.going.keys() - tops):
                yield self._rebased(over, path)

    def _rebased(self, over: str, path: str) -> StepProposal:
        facts, going = self.facts, self.going
        lower = below(facts, path, going[path].format)
        while lower[0] in going:
            lower = below(facts, lower[0], going[lower[0]].format)
        lower = down.moved(self.downs).get(lower[0], lower)
        reason = f"it takes in what it needs of {path}"
        rebased = steps.rebase(self.at, facts.images[over], (path, going[path].format), lower, reason)
        written = next((disk.target for disk in facts.disks if disk.source == over), "") if facts.runs else ""
        return steps.pull(self.at, written, rebased) if written else rebased

    def _down(self, one: Down) -> Iterator[StepProposal]:
        """What lies over the upper image on another branch is open to nobody; it lies over the lower one afterwards."""
        yield steps.commit(self.at, one)
        apart = set(dependents(self.facts, one.top)) & self.facts.family - self.going.keys() - {one.over}
        for over in sorted(apart):
            reason = f"{one.base} holds what {one.top} did"
            yield steps.rebase(self.at, self.facts.images[over], (one.top, "qcow2"), (one.base, one.form), reason)

    def _said_to_go(self) -> Iterator[StepProposal]:
        """Each record says that its images may hold something else, so that nobody goes back to it."""
        for record in self.doomed:
            yield self._written(record, self._said(record), "its images will hold something else")

    def _said(self, record: Record) -> Content:
        return self._kept(replace(record, going=True).to_json())

    def _followed(self) -> Iterator[StepProposal]:
        """What names an image that was written down names the one that holds it now: our records, and libvirt's.

        Those of libvirt have a chain as well, in which no image is that has gone.
        """
        where, names = down.moved(self.downs), {record.name for record in self.doomed}
        for record in self.facts.records.readable:
            new = down.following(record, where)
            if record.name not in names and new != record and self._place(record) in self.facts.files:
                yield self._written(record, self._kept(new.to_json()), "an image of it has gone into another one")
        for one in self.facts.libvirt:
            if one.name in names or not one.xml:
                continue
            if names_one(one.xml, where) or over_one(one.xml, self.gone):
                yield steps.follow(self.at, one.name, where, self.gone)

    def _written(self, record: Record, what: Content, reason: str) -> StepProposal:
        path = self._place(record)
        return steps.rewrite(path, record.name, what, reason, there=path in self.facts.files)

    def _place(self, record: Record) -> str:
        return place(self.facts.uuid, record.name)

    def _forgotten(self, *, for_good: bool = False) -> Iterator[StepProposal]:
        """What lies below one that libvirt forgets is hung elsewhere, and is another one then: so from the end."""
        for snapshot in reversed(self._known_to_libvirt()):
            kept = self._kept(snapshot.xml.encode())
            yield steps.forget(self.at, snapshot, self.facts.libvirt, kept.name, for_good=for_good)

    def _known_to_libvirt(self) -> tuple[GuestSnapshot, ...]:
        """What libvirt keeps of them, each after the one that it lies below."""
        names = {record.name for record in self.doomed if record.in_libvirt}
        waiting, found = {one.name: one for one in self.facts.libvirt if one.name in names}, []
        while waiting:
            free = [one for one in waiting.values() if one.parent not in waiting] or list(waiting.values())
            found += free
            waiting = {name: one for name, one in waiting.items() if one not in free}
        return tuple(found)

    def _removed(self) -> Iterator[StepProposal]:
        """Images first, then the copies of NVRAM and TPM, the record last: what fails on the way stays listed."""
        for one in self.downs:
            reason = f"{one.base} holds what it did"
            yield steps.delete(self.facts.images[one.top], reason, self.at)
        for record in self.doomed:
            yield from self._removed_of(record)

    def _removed_of(self, record: Record) -> Iterator[StepProposal]:
        facts = self.facts
        for part in record.disks:
            if part.image in self.going and part.image in self.gone:
                reason = f"{part.target} of snapshot {record.name!r}"
                yield steps.delete(facts.images[part.image], reason, self.at)
        reason = f"it belongs to snapshot {record.name!r}"
        copies = (path for path in (record.nvram, record.tpm) if path in facts.files and path != facts.nvram)
        yield from (steps.delete(facts.files[path], reason) for path in copies)
        path = self._place(record)
        if self.downs:
            yield steps.delete_written(path, self._said(record), reason)
        elif written := facts.files.get(path):
            yield steps.delete(written, reason)
