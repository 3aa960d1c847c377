"""What of a host is right for guests with devices, what would be changed, and what a person has to do. Reads only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vfioctl.plugin import HostChange, Refused, field, frozen
from vfioctl_setup import early, packages
from vfioctl_setup.initramfs import REGENERATE, UPDATE, room
from vfioctl_setup.loaders.found import find
from vfioctl_setup.loaders.model import TEXT, BootChange, seen
from vfioctl_setup.loaders.printed import UNKNOWN
from vfioctl_setup.words import Asked, Words, is_arm, wanted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from vfioctl.plugin import FileEdit, Host
    from vfioctl_setup.loaders.model import Loader

RECORD = "setup"
BACK = "vfioctl setup --undo"
COMMAND_LINE = "kernel command line"
RIGHT, CHANGE, RESTART, BY_HAND = "right", "change", "restart", "by hand"


@frozen
class Wish:
    """What is asked for: words of the command line, cards that vfio-pci takes at boot, a user, a boot loader."""

    words: Asked = field(default_factory=Asked)
    early: tuple[str, ...] = ()
    user: str = ""
    boot_loader: str = ""


@frozen
class Row:
    """One part of the host: how it is (`state`), why, and for what only a person does: where, and which lines."""

    part: str
    state: str
    detail: str
    where: str = ""
    lines: tuple[str, ...] = ()


@frozen
class Prepared:
    """The parts, and the change of those that can be changed here. `known`: so is the boot loader, where it counts."""

    rows: tuple[Row, ...]
    change: HostChange
    known: bool


def prepare(host: Host, wish: Wish) -> Prepared:
    """Raises Refused for what is asked for and cannot be."""
    words = wanted(host, wish.words)
    loader = find(host, wish.boot_loader) if words or wish.boot_loader else None
    line, at_boot = _command_line(host, words, loader), _early(host, wish)
    parts = [one for one in (line, at_boot) if one]
    rows = (_iommu(host, words), *(row for row, _ in parts), *_installed(host), *_user(host, wish.user))
    # The initramfs first: kernel-install copies it.
    edits = tuple(edit for _, change in reversed(parts) for edit in change.edits)
    change = as_change(host, edits, *(change for _, change in reversed(parts)))
    return Prepared(rows, change, known=loader is None or loader.name != UNKNOWN or line[0].state == RIGHT)


def as_change(host: Host, edits: tuple[FileEdit, ...], *changes: BootChange) -> HostChange:
    """The edits as a change of this host on the record of this plugin."""
    refresh = tuple(dict.fromkeys(argv for change in changes for argv in change.refresh))
    findings = tuple(room(host)) if {UPDATE, REGENERATE}.intersection(refresh) else ()
    return HostChange(RECORD, BACK, edits, refresh, restart=bool(edits), findings=findings)


def _iommu(host: Host, words: Words) -> Row:
    if host.iommu_on():
        return Row("IOMMU", RIGHT, "it is on")
    if words.hold_in(host.kernel_command_line().split()):
        why = "though the kernel was asked for it" if words.add else "and nothing on the kernel's command line says so"
        unit = "the SMMU" if is_arm(host) else "VT-d (Intel) or AMD-Vi, also called IOMMU or SVM IOMMU"
        return Row("IOMMU", BY_HAND, f"it is off {why}", "the firmware's setup, at boot", (f"turn on {unit}",))
    return Row("IOMMU", RESTART, "it is off, and the command line below may turn it on")


def _command_line(host: Host, words: Words, loader: Loader | None) -> tuple[Row, BootChange]:
    if not words or loader is None:
        return Row(COMMAND_LINE, RIGHT, "nothing is needed on it"), BootChange()
    running = host.kernel_command_line().split()
    said, holds = _said(words, running, *(loader.entries or ())), loader.holds(words)
    where, runs = f"{loader.title}: {said}", words.hold_in(running)
    if not said and holds is not False:
        return Row(COMMAND_LINE, RIGHT, f"{', '.join(words.remove)} is not on it"), BootChange()
    if holds or (runs and holds is None):
        return Row(COMMAND_LINE, RIGHT if runs else RESTART, where), BootChange()
    change = loader.change(host, words)
    if any(_differs(host, edit) for edit in change.edits):
        return Row(COMMAND_LINE, CHANGE, where), change
    if change.edits or not change.lines:
        change = _stale(change, words)
    return Row(COMMAND_LINE, BY_HAND, where, change.where, change.lines), BootChange()


def _stale(change: BootChange, words: Words) -> BootChange:
    """The settings say it and the menu does not; or nobody sees where it is set."""
    if change.refresh:
        lines = tuple(" ".join(argv) for argv in change.refresh)
        return BootChange(where="type as root: the settings say it already, and the boot menu is older", lines=lines)
    return BootChange(where="where it is set, which vfioctl does not find", lines=(_said(words, words.remove),))


def _early(host: Host, wish: Wish) -> tuple[Row, BootChange] | None:
    change = early.binding(host, wish.early)
    if not change.edits:
        return None
    what = f"vfio-pci takes {', '.join(wish.early)} at boot"
    if change.lines:
        return Row("initramfs", BY_HAND, what, change.where, change.lines), change
    done = not any(_differs(host, edit) for edit in change.edits)
    return Row("early binding", RIGHT if done else CHANGE, what), change


def _installed(host: Host) -> Iterator[Row]:
    lacking = packages.missing(host)
    if not lacking:
        yield Row("packages", RIGHT, "QEMU, libvirt and UEFI firmware are there")
        return
    line = packages.command(host) or f"install {', '.join(lacking)}"
    yield Row("packages", BY_HAND, f"not there: {', '.join(lacking)}", "type as root", (line,))


def _user(host: Host, user: str) -> Iterator[Row]:
    if not user:
        return
    if not packages.is_known(host, user):
        raise Refused("setup.no_user", f"There is no user {user!r} here.", state="Nothing was changed.",
                      hints=("See who there is with: getent passwd",))  # fmt: skip
    member = packages.is_member(host, user)
    if member:
        yield Row("group", RIGHT, f"{user} is in {packages.GROUP}")
    elif member is None:
        yield Row("group", BY_HAND, f"there is no group {packages.GROUP}", "first", ("install libvirt",))
    else:
        line = f"usermod --append --groups {packages.GROUP} {user}"
        yield Row("group", BY_HAND, f"{user} is not in {packages.GROUP}", "type as root", (line,))


def _differs(host: Host, edit: FileEdit) -> bool:
    return seen(host, edit.path) != edit.content.decode(*TEXT)


def _said(words: Words, *there: Iterable[str]) -> str:
    """The words that are to be there, and those of `there` that are not to be."""
    known = {word for entry in there for word in entry}
    return ", ".join((*words.add, *(f"without {word}" for word in words.remove if word in known)))
