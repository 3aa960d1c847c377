"""The users of a guest that its agent changes: their names, and the lines of their authorized_keys. Pure."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable

from vfioctl.plugin import frozen
from vfioctl_guest.seed.keys import is_key
from vfioctl_guest.seed.reading import no

CODE = "guest.account"
PRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}")


def check_user(name: str) -> None:
    """Raise Refused("guest.account") for what would be two fields of passwd(5), or lines of it."""
    if not name or ":" in name or not name.isprintable():
        no(f"{name!r} cannot name a user: expected letters and digits, such as admin, and no ':'.", CODE)


def check_fingerprint(text: str) -> None:
    """Raise Refused("guest.account")."""
    if not PRINT.fullmatch(text):
        no(f"{text!r} is no fingerprint: expected SHA256: and 43 letters, as `guest ssh-key list` shows it.", CODE)


@frozen
class AuthorizedKey:
    """One line (sshd(8), AUTHORIZED_KEYS FILE FORMAT).

    `kind` and `fingerprint` are "" where it has no key that we can read: then its comment is all of it.
    """

    line: str
    options: str = ""
    kind: str = ""
    fingerprint: str = ""
    comment: str = ""

    @property
    def row(self) -> dict[str, str]:
        """What is said of it."""
        return {
            "type": self.kind, "fingerprint": self.fingerprint, "comment": self.comment, "options": self.options,
        }  # fmt: skip


def authorized(line: str) -> AuthorizedKey:
    """What a line says. Options may stand before the key, and have blanks within quotes."""
    words = line.split()
    for begin in range(len(words)):
        if is_key(" ".join(words[begin:])):
            kind, data, *comment = words[begin:]
            options = " ".join(words[:begin])
            return AuthorizedKey(line, options, kind, fingerprint(data), " ".join(comment))
    return AuthorizedKey(line, comment=line)


def fingerprint(data: str) -> str:
    """That of a key in base64, as ssh-keygen -l shows it."""
    digest = hashlib.sha256(base64.b64decode(data)).digest()
    return f"SHA256:{base64.b64encode(digest).decode().rstrip('=')}"


def once(keys: Iterable[AuthorizedKey]) -> dict[str, AuthorizedKey]:
    """The first of each key, by fingerprint."""
    found: dict[str, AuthorizedKey] = {}
    for key in keys:
        found.setdefault(key.fingerprint, key)
    return found
