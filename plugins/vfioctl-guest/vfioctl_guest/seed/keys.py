"""Public SSH keys that are given as files: told from private ones, and from what is no key."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from vfioctl.plugin import Refused
from vfioctl_guest.names import NOTHING_CHANGED
from vfioctl_guest.seed.reading import SEED, text_of
from vfioctl_guest.ssh_keys.places import stored

if TYPE_CHECKING:
    from vfioctl.plugin import Call

KIND = re.compile(r"(?:sk-)?(?:ssh|ecdsa)-[a-z0-9@.-]+")  # sshd(8), AUTHORIZED_KEYS FILE FORMAT
LENGTH = 4  # bytes, before each part of a key (RFC 4253)


def public_keys(call: Call, path: str, option: str = "--ssh-key", code: str = SEED) -> Iterator[str]:
    """The public keys of the file, or the key of this host, that `option` names, one a line.

    Raises Refused("guest.ssh_key", code).
    """
    text = text_of(call, stored(call, path), option, code)
    if "PRIVATE KEY-----" in text:
        hint = f"Give its public half: {path}.pub"
        said = f"{path} is a private key: it stays where it is, and goes into no guest."
        raise Refused("guest.ssh_key", said, state=NOTHING_CHANGED, hints=(hint,))
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    for line in lines:
        if not is_key(line):
            raise _no_key(path)
    if not lines:
        raise _no_key(path)
    yield from lines


def is_key(line: str) -> bool:
    """Whether `line` is a public key: its type, its data that say the same type, and a comment."""
    kind, _, rest = line.partition(" ")
    try:
        data = base64.b64decode(rest.split(" ")[0], validate=True)
    except (binascii.Error, ValueError):
        return False
    end = LENGTH + int.from_bytes(data[:LENGTH], "big")
    same = data[LENGTH:end] == kind.encode() and len(data) > end
    return same and KIND.fullmatch(kind) is not None and line.isprintable()


def _no_key(path: str) -> Refused:
    said = f"{path} is no public SSH key: expected a line such as 'ssh-ed25519 AAAA… you@host'."
    hint = "ssh-keygen -t ed25519 makes one; the file that ends with .pub is the public half."
    return Refused("guest.ssh_key", said, state=NOTHING_CHANGED, hints=(hint,))
