"""What taking the set-up back is by now: kernels come and go, and so do programs that the record names. Reads only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vfioctl.plugin import Fate, frozen, replace
from vfioctl_setup import initramfs
from vfioctl_setup.loaders import grub, systemd_boot
from vfioctl_setup.loaders.model import TEXT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vfioctl.plugin import Host, HostRecord, RecordedFile

# Programs of a record, and who knows what they do now. The initramfs first: kernel-install copies it.
MAKERS = (
    ((initramfs.UPDATE[0], initramfs.REGENERATE[0]), initramfs.programs),
    (("update-grub", *grub.PROGRAMS), grub.programs),
    (("kernel-install",), systemd_boot.programs),
)


@frozen
class WayBack:
    """What is to be put back, and what a person is told of it beforehand."""

    record: HostRecord
    told: tuple[str, ...] = ()


def way_back(host: Host, record: HostRecord) -> WayBack:
    """The way back of this record, with what makes the same files anew today."""
    ran = dict.fromkeys(argv[0] for argv in record.refresh)
    rows = [(own, programs(host)) for names, programs in MAKERS if (own := [name for name in ran if name in names])]
    refresh = tuple(argv for _, anew in rows for argv in anew)
    kept = {one: one.staying() for one in record.files if _must_stay(host, one)}
    files = tuple(kept.get(one, one) for one in record.files)
    told = (*map(_stays, kept), *(_idle(own) for own, anew in rows if not anew))
    return WayBack(replace(record, files=files, refresh=refresh), told)


def _must_stay(host: Host, one: RecordedFile) -> bool:
    """Whether kernel-install would take other words than before without this file: ours, since a restart."""
    if one.stand_in is None or (running := systemd_boot.of_running(host)) is None or _is_edited(host, one):
        return False
    return running.split() != one.stand_in.decode(*TEXT).split()


def _is_edited(host: Host, one: RecordedFile) -> bool:
    try:
        return one.fate(host.paths) is Fate.EDITED
    except OSError:  # taking it back says what is wrong with it
        return True


def _stays(one: RecordedFile) -> str:
    return (
        f"{one.path} stays, with the words of before: without it kernel-install takes those of the running kernel. "
        "It may go after a restart."
    )


def _idle(names: Iterable[str]) -> str:
    return f"{', '.join(names)}: not run, since it is gone, or nothing is to be seen that it would make anew."
