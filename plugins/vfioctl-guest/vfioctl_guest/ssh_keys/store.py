"""The key pairs of this host: two files each, of which everybody reads the public one. Reads only."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from vfioctl.plugin import frozen, no_such, read_text
from vfioctl_guest.accounts import authorized
from vfioctl_guest.ssh_keys.openssh import bits, private_key
from vfioctl_guest.ssh_keys.places import PUBLIC, names, path_of

if TYPE_CHECKING:
    from vfioctl.plugin import Call


@frozen
class Key:
    """A key as it is kept: `file` is its private half, which may not be there, `public` the other as a line.

    `encrypted`, whether it has a passphrase, is None where that cannot be seen.
    """

    name: str
    file: str
    public: str
    private: bool = True
    encrypted: bool | None = None

    @property
    def row(self) -> dict[str, Any]:
        """What is said of it; type and fingerprint are "" where somebody has spoilt the file."""
        said = authorized(self.public)
        return {
            "name": self.name, "type": said.kind, "bits": bits(said.line.split()[1]) if said.kind else 0,
            "fingerprint": said.fingerprint, "comment": said.comment, "private": self.private,
            "encrypted": self.encrypted, "file": self.file, "public": self.public,
        }  # fmt: skip


def named(call: Call, name: str) -> Key:
    """The key `name`. Raises Refused("ssh_key.unknown")."""
    known = names(call)
    if name not in known:
        raise no_such("ssh_key.unknown", f"There is no SSH key {name!r}", name, known, "The keys of this host")
    file = call.paths.at(path_of(name))
    public = (read_text(f"{file}{PUBLIC}") or "").strip()
    return Key(name, file, public, os.path.lexists(file), _is_encrypted(file))


def _is_encrypted(file: str) -> bool | None:
    """None where it is not there, not ours to read, or in another format."""
    try:
        found = private_key(read_text(file) or "")
    except PermissionError:
        return None
    return found.encrypted if found else None
