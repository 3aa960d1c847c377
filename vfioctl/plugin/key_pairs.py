"""Makes SSH key pairs with ssh-keygen, in a private directory that is gone when it returns. Keeps none.

A passphrase reaches ssh-keygen as what SSH_ASKPASS prints: every process sees what is in argv, and it reads no stdin.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from vfioctl.errors import StepFailed, VfioctlError
from vfioctl.files import PARENT_DIR, PRIVATE, PRIVATE_DIR, atomic_write, make_private_dir, read_bytes
from vfioctl.frozen import frozen
from vfioctl.shell import word

if TYPE_CHECKING:
    from vfioctl.proc import Programs

PATIENCE = 120.0  # seconds: a long RSA key on a slow computer
ASK = "#!/bin/sh\nexec cat {}\n"


@frozen
class KeyPair:
    """A private key in OpenSSH's format, and its public half as one line."""

    private: bytes
    public: str


def new_key_pair(programs: Programs, kind: str, *, bits: int = 0, comment: str = "", passphrase: str = "") -> KeyPair:
    """A new pair of the type `kind`: "ed25519", or "rsa" with its `bits`.

    Raises VfioctlError("ssh_key.failed") with what ssh-keygen says.
    """
    from tempfile import TemporaryDirectory

    with TemporaryDirectory(prefix="vfioctl-key-") as place:
        file, size = os.path.join(place, "key"), ("-b", str(bits)) if bits else ()
        argv = ("ssh-keygen", "-q", "-t", kind, *size, "-C", comment, "-f", file)
        bare = () if passphrase else ("-N", "")
        try:
            ended = programs.run((*_asking(place, passphrase), *argv, *bare), deadline=PATIENCE)
        except StepFailed as error:
            hint = "Install it (Debian: openssh-client)."
            raise VfioctlError("ssh_key.failed", error.message, hints=(hint,)) from error
        if not ended.ok:
            raise VfioctlError("ssh_key.failed", f"No key was made: {ended.why().rstrip('.')}.")
        return KeyPair(read_bytes(file), read_bytes(f"{file}.pub").decode().strip())


def make_key_store(path: str) -> None:
    """Create the directory of key pairs, which everybody may read, if it is not there. Raises OSError."""
    make_private_dir(path, mode=PARENT_DIR)


def _asking(place: str, passphrase: str) -> tuple[str, ...]:
    """What goes before the command line, so that ssh-keygen gets the passphrase from a file in `place`."""
    if not passphrase:
        return ()
    secret, ask = os.path.join(place, "passphrase"), os.path.join(place, "ask")
    atomic_write(secret, f"{passphrase}\n", mode=PRIVATE, durable=False)
    atomic_write(ask, ASK.format(word(secret)), mode=PRIVATE_DIR, durable=False)
    return ("env", f"SSH_ASKPASS={ask}", "SSH_ASKPASS_REQUIRE=force")
