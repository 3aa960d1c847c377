"""busctl as systemd 252 answers a notification on a user's bus: taken where that user sits at a seat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from vfioctl.testing.userspace.answers import Reply, parse
from vfioctl.testing.userspace.systemd import Systemd

if TYPE_CHECKING:
    from vfioctl.testing.kernel.core import Kernel

VALUED = ("-H", "-M", "--host", "--machine", "--address", "--timeout")
NAME = "org.freedesktop.Notifications"
NOTIFY = (NAME, "/org/freedesktop/Notifications", NAME, "Notify", "susssasa{sv}i")
# What follows the signature here: four strings and a number, no actions, one hint with a byte, the time.
WORDS = 11


def busctl(kernel: Kernel, systemd: Systemd, argv: Sequence[str]) -> Reply:
    """Answer one call; nothing but a notification with one hint is known."""
    arguments = parse(argv, valued=VALUED)
    verb, words = arguments.words[:1], arguments.words[1:]
    who = (arguments.value("-M", "--machine") or "").partition("@")[0]
    if not kernel.spec.systemd or not arguments.has("--user") or not who.isdecimal():
        return Reply(err="Failed to connect to bus: Host is down\n", status=1)
    if not systemd.has_manager(int(who)):
        return Reply(err="Failed to connect to bus: Transport endpoint is not connected\n", status=1)
    if verb != ("call",) or words[: len(NOTIFY)] != NOTIFY or len(words) != len(NOTIFY) + WORDS:
        return Reply(err="Too few parameters for signature.\n", status=1)
    if not any(one.uid == int(who) and one.seat for one in systemd.sessions.values()):
        return Reply(err=f"Call failed: The name {NAME} was not provided by any .service files\n", status=1)
    return Reply(out="" if arguments.has("-q", "--quiet") else "u 1\n")
