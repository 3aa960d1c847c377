"""What several commands ask first: plugins, a guest's settings, whether a hand-off is running. Changes nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from vfioctl import files
from vfioctl.actions.visible_ledger import VisibleLedger
from vfioctl.errors import Refused, VfioctlError
from vfioctl.frozen import frozen
from vfioctl.handoff.markers import undone_by_sh
from vfioctl.handoff.notes import HAND_OFF
from vfioctl.kinds import PCI
from vfioctl.paths import LOCK_PREFIX, LOCK_SUFFIX
from vfioctl.result import Message
from vfioctl.txn.journal import read_both
from vfioctl.unknown import no_such

if TYPE_CHECKING:
    from vfioctl.actions.caller import Call, Caller
    from vfioctl.config.model import GuestConfig
    from vfioctl.host.host import Host
    from vfioctl.paths import Paths
    from vfioctl.plugin.manifest import Manifest
    from vfioctl.plugin.types import PluginInfo


def installed(call: Call) -> Manifest:
    """What plugins there are; who may not write the manifest looks for them in this process."""
    from vfioctl.plugin import manifest  # a verb of a plugin asks what runs, and not for this

    here = call.composition
    if call.administers:
        return manifest.load(here.paths, here.programs, (*here.self_argv, "plugins", "refresh"))
    return manifest.build()


def plugin_infos(call: Call) -> dict[str, PluginInfo]:
    """The installed plugins by name."""
    return {info.name: info for info in installed(call).plugins}


def guest_config(
    call: Call, guest: str, plugins: Mapping[str, PluginInfo], flags: Mapping[str, Any] | None = None
) -> GuestConfig:
    """The settings of `guest` as the command line sees them: with the environment and `flags` on top."""
    from vfioctl.config.load import load_guest

    return load_guest(call.composition.paths, guest, plugins, environment=call.caller.environment, flags=flags or {})


def must_be_managed(call: Call, guest: str) -> None:
    """Raise Refused("guest.unmanaged") when `guest` has no file, with those that have one."""
    if os.path.lexists(call.composition.paths.guest_config(guest)):
        return
    from vfioctl.config.load import managed_guests

    known = managed_guests(call.composition.paths)
    refused = no_such("guest.unmanaged", f"{guest} is not managed by vfioctl", guest, known, "Managed guests")
    refused.hints = refused.hints or ("No guest is managed yet.",)
    raise refused


@frozen
class Running:
    """A process that holds the lock of a guest's hand-off."""

    uuid: str
    pid: int


def running(paths: Paths) -> tuple[Running, ...]:
    """The hand-offs that a process is working on now. Takes no lock: that could refuse a start at the same moment."""
    owners = _lock_owners(paths)
    return tuple(Running(uuid, pid) for uuid, pid in owners if _holds(paths, pid, f"{LOCK_PREFIX}{uuid}{LOCK_SUFFIX}"))


def _lock_owners(paths: Paths) -> Iterator[tuple[str, int]]:
    """Each lock file with the pid that took it last."""
    try:
        names = sorted(os.listdir(paths.locks))
    except OSError:
        return
    for name in names:
        if name.startswith(LOCK_PREFIX) and name.endswith(LOCK_SUFFIX):
            text = files.read_text(os.path.join(paths.locks, name)) or ""
            if text.strip().isdecimal():
                yield name[len(LOCK_PREFIX) : -len(LOCK_SUFFIX)], int(text)


def _holds(paths: Paths, pid: int, name: str) -> bool:
    """Whether `pid` has the lock file open: the pid of a finished hand-off stays in the file."""
    directory = os.path.join(paths.proc, str(pid), "fd")
    try:
        return any(os.path.basename(_target(directory, fd)) == name for fd in os.listdir(directory))
    except OSError:
        return False


def _target(directory: str, fd: str) -> str:
    try:
        return os.readlink(os.path.join(directory, fd))
    except OSError:
        return ""


def refuse_while_running(paths: Paths, *otherwise: str) -> None:
    """Raise Refused("libvirt.busy") while a hook runs: libvirt answers nobody until it ends.

    The process of another operation holds its key as well, and keeps nobody from libvirt. `otherwise` says what else
    the user can do.
    """
    if now := next((one for one in running(paths) if not _is_other_operation(paths, one.uuid)), None):
        raise Refused(
            "libvirt.busy",
            f"libvirt cannot be asked while a hand-off is running (process {now.pid}).",
            state="Nothing was changed.",
            hints=("See what it does with: vfioctl status", *otherwise),
        )


def _is_other_operation(paths: Paths, key: str) -> bool:
    try:
        story = read_both(paths, key)
    except VfioctlError:
        return False
    return story is not None and story.plan.operation != HAND_OFF


def unseen_messages(host: Host, caller: Caller) -> Iterator[Message]:
    """What to say of the processes that `host` could not look into, for want of root or though it is, and of files."""
    for one in host.missed():
        if caller.is_root or not one.denied:
            code = "host.unreadable" if one.denied else "host.unanswered"
            yield Message(f"{one.what}; it may hold the card too.", "warning", code)
    if (count := host.unreadable()) and not caller.is_root:
        whose, it = ("one process", "it") if count == 1 else (f"{count} processes", "some of them")
        text = f"The open files of {whose} could not be read without root; {it} may hold the card too."
        yield Message(text, "warning", "host.unreadable")


def owners(paths: Paths) -> dict[str, str]:
    """The guests that hold a device, by address, as far as the ledger may be read; not those whom undo.sh undid."""
    held = [entry for entry in VisibleLedger(paths).readable()[0] if entry.resource.startswith(PCI)]
    gone = undone_by_sh(paths) if held else ()
    found = {}
    for entry in held:
        guests = [name for uuid, name in entry.holders.items() if uuid not in gone]
        if guests:
            found[entry.resource.removeprefix(PCI)] = ", ".join(guests)
    return found
