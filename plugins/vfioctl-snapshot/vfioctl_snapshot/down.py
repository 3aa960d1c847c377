"""What a running guest has open between what it writes to and images that go: it is written down into those. Pure.

Nothing can be copied up into it, since QEMU has it open; libvirt's job writes it into the lowest image under it that
goes (disk.commit), which then is what is left of both. So what named the upper one names the lower one from then on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import takewhile

from vfioctl.plugin import TYPE_CHECKING, Finding, argument, frozen, replace
from vfioctl_snapshot.facts import Facts, chain, dependents
from vfioctl_snapshot.settings import finding

if TYPE_CHECKING:
    from vfioctl_snapshot.record import Part, Record

Moved = Mapping[str, tuple[str, str]]  # path and format of the image that holds what another one did


@frozen
class Down:
    """`top`, whose content stays, is written into `base` of the format `form`; `run` are the images from there to it.

    `over` lies over `top`, in the disk `target`.
    """

    target: str
    over: str
    top: str
    base: str
    form: str
    run: tuple[str, ...]  # top first; the last one is `base`

    @property
    def left_over(self) -> tuple[str, ...]:
        """What nobody needs any more."""
        return (self.top, *self.run[:-1])


def downs(facts: Facts, going: Mapping[str, Part]) -> tuple[Down, ...]:
    """All of them, those further down first: what lies over one is as it is planned then."""
    opened = ((disk.target, [path for path, _ in chain(facts, disk.source, disk.format)]) for disk in facts.disks)
    found = (_of_disk(target, paths, going) for target, paths in opened)
    return tuple(down for of_disk in found for down in reversed(tuple(of_disk))) if facts.runs else ()


def _of_disk(target: str, opened: Sequence[str], going: Mapping[str, Part]) -> Iterator[Down]:
    """`opened` are its images, top first; what the guest writes to takes in what is under it."""
    for number in range(1, len(opened)):
        over, top = opened[number - 1 : number + 1]
        run = tuple(takewhile(going.__contains__, opened[number + 1 :]))
        if top not in going and run:
            yield Down(target, over, top, run[-1], going[run[-1]].format, run)


def moved(found: Iterable[Down]) -> Moved:
    """Where the content of each upper image is in the end."""
    return {down.top: (down.base, down.form) for down in found}


def following(record: Record, where: Moved) -> Record:
    """`record` as it names its images then."""
    return replace(record, disks=tuple(
        replace(part, image=where[part.image][0], format=where[part.image][1]) if part.image in where else part
        for part in record.disks
    ))  # fmt: skip


def obstacles(facts: Facts, found: tuple[Down, ...]) -> Iterator[Finding]:
    """Why libvirt cannot do it, while qemu-img can once the guest is off."""
    for down in found:
        for why in _against(facts, down):
            said = f"{down.top} would be written into {down.base} while guest {facts.name} runs, but {why}."
            hint = f"Shut it down first: virsh shutdown {argument(facts.name)}"
            yield finding("snapshot.between", said, hint=hint)


def _against(facts: Facts, down: Down) -> Iterator[str]:
    if down.top in facts.others:
        yield f"another guest needs {down.top}"
    for over in sorted(set(dependents(facts, down.top)) - facts.family - {down.over}):
        yield f"{over} lies over {down.top}, and is no disk of its snapshots"
    images = {down.top, *down.run}
    for disk in facts.disks:
        opened = {path for path, _ in chain(facts, disk.source, disk.format)}
        if disk.target != down.target and images & opened:
            yield f"its disk {disk.target} lies over {sorted(images & opened)[0]} as well"
    if facts.images[down.base].size > facts.images[down.top].size:
        yield "that one is larger"
