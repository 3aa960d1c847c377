"""Lets vfioctl manage a guest: its file, the pinned identities of its cards, managed='no' in the domain."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from vfioctl import files
from vfioctl.actions import hostdev_mode
from vfioctl.actions.caller import NOTHING_CHANGED
from vfioctl.actions.domain_change import Change, by_hand, set_mode
from vfioctl.actions.domains import find
from vfioctl.actions.facts import guest_config, plugin_infos
from vfioctl.actions.firing import warnings
from vfioctl.actions.foretold import foretold
from vfioctl.config.edit import create_guest, set_setting
from vfioctl.findings import Severity
from vfioctl.handoff import identity
from vfioctl.handoff.devices import wanted
from vfioctl.result import Error, Message, Result, incomplete, refused
from vfioctl.shell import argument

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from vfioctl.actions.caller import Call
    from vfioctl.actions.domains import Found
    from vfioctl.handoff.devices import Wanted
    from vfioctl.host.host import Host
    from vfioctl.host.model import PciDevice
    from vfioctl.paths import Paths
    from vfioctl.plugin.types import PluginInfo

END_SESSION = "enable.end_session"


def enable(call: Call, guest: str, xml: str | None = None, *, end_session: bool = False) -> Result:
    """Let vfioctl manage `guest`, whose domain is read from the file `xml`, else from libvirt.

    Raises Refused of `find` and of the configuration; whoever agrees to END_SESSION needs no `end_session`.
    """
    call.need_trust()
    found = find(call, guest, xml)
    plugins, host = plugin_infos(call), call.composition.machine().host()
    config = guest_config(call, guest, plugins)
    devices = wanted(found.domain, config, host)
    if errors := tuple(_blocks(devices)):
        return refused({}, errors)
    end = end_session or (config.session != "end" and agreed(call, guest, devices.devices, host))
    created = _write_file(call.composition.paths, guest, plugins, end_session=bool(end))
    if devices.devices:
        identity.pin(call.composition.paths, found.domain.uuid, guest, devices.devices)
    change = _set_managed(call, found)
    data = {
        **_data(call, found, devices, change), "created": created, "end_session": bool(end),
        "operation": None, "steps": [], "dry_run": False,
    }  # fmt: skip
    said = _messages(call, guest, devices, change, from_file=bool(xml))
    silent = (unasked(guest),) if end is None else ()
    errors = _not_changed(guest, change) if xml is None else ()
    return incomplete(data, errors).saying(*said, *silent, *foretold(call, found.domain, plugins))


def _blocks(devices: Wanted) -> Iterator[Error]:
    for finding in devices.findings:
        if finding.severity is Severity.BLOCK:
            yield Error(finding.code, finding.message, NOTHING_CHANGED, (finding.hint,) if finding.hint else ())


def agreed(call: Call, guest: str, devices: Iterable[PciDevice], host: Host) -> bool | None:
    """Whether a session may be ended: asked only when a card is given while people can log in at a seat."""
    if not any(device.is_card and device.driver for device in devices):
        return False
    if not any(session.seat and session.klass == "user" for session in host.sessions()):
        return False
    question = f"May the session of a logged-in user be ended when {guest} starts? What is not saved is lost."
    return call.caller.agrees(END_SESSION, question)


def unasked(guest: str) -> Message:
    """What is said where nobody is there to answer that question."""
    text = f"Nobody was asked whether a user's session may be ended when {guest} starts: it is kept."
    hint = f"Let it be ended with: vfioctl enable {argument(guest)} --end-session"
    return Message(text, code=END_SESSION, hint=hint)


def _write_file(paths: Paths, guest: str, plugins: Mapping[str, PluginInfo], *, end_session: bool) -> bool:
    """The guest file, as `disable` kept it or new; whether it was not there before."""
    file, kept = paths.guest_config(guest), kept_file(paths, guest)
    created = not os.path.lexists(file)
    if created and create_guest(paths, guest) and (text := files.read_text(kept)):
        files.atomic_write(file, text, mode=0o644)
        files.remove(kept)
    if end_session:
        set_setting(paths, guest, "session", "end", plugins)
    return created


def kept_file(paths: Paths, guest: str) -> str:
    """Where `disable` keeps a guest's file."""
    return os.path.join(paths.state, "disabled", f"{guest}.toml")


def _set_managed(call: Call, found: Found) -> Change:
    addresses = hostdev_mode.managed_addresses(found.xml)
    hostdev_mode.remember(call.composition.paths, found.domain.uuid, found.domain.name, addresses)
    return set_mode(call, found, "no", addresses)


def _data(call: Call, found: Found, devices: Wanted, change: Change) -> dict[str, Any]:
    return {
        "guest": found.domain.name, "uuid": found.domain.uuid,
        "file": call.composition.paths.guest_config(found.domain.name),
        "devices": [{"address": device.address, "identity": device.identity} for device in devices.devices],
        "diff": change.diff, "applied": change.applied,
    }  # fmt: skip


def _not_changed(guest: str, change: Change) -> tuple[Error, ...]:
    """The domain ought to be changed, and nothing is there to do it."""
    if not change.diff or change.applied:
        return ()
    message = "The domain is not changed: neither virsh nor libvirt-python is there to do it."
    return (Error("libvirt.binding", message, f"{guest} is managed.", (by_hand(guest).hint,)),)


def _messages(call: Call, guest: str, devices: Wanted, change: Change, *, from_file: bool) -> tuple[Message, ...]:
    said = []
    if change.diff and not change.applied and from_file:
        said.append(by_hand(guest))
    if not devices.devices:
        said.append(no_device(guest))
    return (*said, *warnings(call))


def no_device(guest: str) -> Message:
    """The commonest omission of a beginner: the card was never added to the guest."""
    text = f"{guest} has no PCI device, so nothing is handed over when it starts."
    hint = f"Give it a card with: vfioctl enable {argument(guest)} --gpu first-free"
    return Message(text, "warning", "guest.no_device", hint)
