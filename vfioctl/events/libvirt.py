"""The hook's arguments and standard input as an Event and bytes. Never calls libvirt or interprets XML."""

from __future__ import annotations

import os
from collections.abc import Sequence

from vfioctl.errors import Refused, VfioctlError
from vfioctl.events.model import Event, Operation

ARGUMENTS = 4  # GUEST OP SUBOP EXTRA, libvirt.org/hooks.html
NAME_LIMIT = 250  # bytes; "NAME.toml" must still be a file name (NAME_MAX is 255)
INPUT_CAP = 8 * 1024 * 1024  # twice what libvirt itself takes from a client (VIR_NET_MESSAGE_STRING_MAX)
CHUNK = 1024 * 1024
FORBIDDEN = {"/": "a slash", "\0": "a NUL byte", "\n": "a line break"}


def parse_argv(argv: Sequence[str]) -> Event:
    """The event in `argv` (GUEST OP SUBOP EXTRA); an operation of a newer libvirt is UNKNOWN.

    Raises VfioctlError("event.malformed") when the number of arguments is wrong, and nothing else.
    """
    if len(argv) != ARGUMENTS:
        raise VfioctlError(
            "event.malformed",
            f"libvirt gives a hook four arguments (GUEST OPERATION SUB-OPERATION EXTRA), not {len(argv)}.",
        )
    guest, operation, sub_operation, extra = argv
    return Event(guest, parse_operation(operation), sub_operation, extra)


def parse_operation(word: str) -> Operation:
    """The operation called `word`, or UNKNOWN."""
    try:
        return Operation(word)
    except ValueError:
        return Operation.UNKNOWN


def check_guest_name(name: str) -> None:
    """Raise Refused("guest.name") when `name` cannot be a file name. Every other name of libvirt works."""
    if problem := name_problem(name):
        raise Refused(
            "guest.name",
            f"A guest called {name[:60]!r} cannot be managed: {problem}.",
            hints=("Rename it with: virsh domrename",),
        )


def name_problem(name: str) -> str:
    """Why `name` cannot be the name of a managed guest; empty when it can."""
    if not name:
        return "the name is empty"
    if name in (".", ".."):
        return "the name is that of a directory"
    for character, word in FORBIDDEN.items():
        if character in name:
            return f"the name holds {word}"
    try:
        length = len(os.fsencode(name))
    except UnicodeEncodeError:
        return "the name holds half a character"
    return f"the name has {length} bytes, more than {NAME_LIMIT}" if length > NAME_LIMIT else ""


def read_stdin(fd: int, cap: int = INPUT_CAP) -> bytes:
    """Everything that `fd` gives, up to `cap` bytes. Raises VfioctlError("domain.too_large"), OSError."""
    chunks: list[bytes] = []
    size = 0
    while chunk := os.read(fd, CHUNK):
        size += len(chunk)
        if size > cap:
            raise too_large(cap)
        chunks.append(chunk)
    return b"".join(chunks)


def too_large(cap: int) -> VfioctlError:
    """The error about a domain XML of more than `cap` bytes."""
    return Refused("domain.too_large", f"The domain XML is larger than {cap // 1024} KiB.")
