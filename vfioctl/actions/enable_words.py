"""What `enable` asks and says, plain or with a card, and where `disable` keeps a guest's file. Changes nothing."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from vfioctl.handoff import left_to_libvirt
from vfioctl.result import Message
from vfioctl.shell import argument

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vfioctl.actions.caller import Call
    from vfioctl.events.model import Domain
    from vfioctl.host.host import Host
    from vfioctl.host.model import PciDevice
    from vfioctl.paths import Paths

END_SESSION = "enable.end_session"


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


def kept_file(paths: Paths, guest: str) -> str:
    """Where `disable` keeps a guest's file."""
    return os.path.join(paths.state, "disabled", f"{guest}.toml")


def no_device(domain: Domain, paths: Paths) -> tuple[Message, ...]:
    """The commonest omission of a beginner: the card was never added. Nothing where libvirt gives a part of one."""
    if left_to_libvirt.has_any(domain, paths):
        return ()
    text = f"{domain.name} has no PCI device, so nothing is handed over when it starts."
    hint = f"Give it a card with: vfioctl enable {argument(domain.name)} --gpu first-free"
    return (Message(text, "warning", "guest.no_device", hint),)
