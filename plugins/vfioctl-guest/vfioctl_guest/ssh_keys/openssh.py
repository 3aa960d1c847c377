"""What keys say in OpenSSH's formats (PROTOCOL.key, RFC 4253). Pure; decrypts nothing."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator

from vfioctl.plugin import frozen

BEGIN, END = "-----BEGIN OPENSSH PRIVATE KEY-----", "-----END OPENSSH PRIVATE KEY-----"
MAGIC = b"openssh-key-v1\0"
LENGTH = 4  # bytes, before each part
HEAD = 3  # cipher, key derivation, and its options; the count of keys follows


@frozen
class Private:
    """What a private key says without its passphrase: its public half, and whether it has one."""

    public: str
    encrypted: bool


def private_key(text: str) -> Private | None:
    """None where `text` is no private key in this format."""
    first, _, rest = text.strip().partition("\n")
    if first.strip() != BEGIN or not rest.strip().endswith(END):
        return None
    try:
        data = base64.b64decode(rest.strip().removesuffix(END))
    except (binascii.Error, ValueError):
        return None
    head = tuple(_parts(data.removeprefix(MAGIC), HEAD))
    behind = data.removeprefix(MAGIC)[sum(LENGTH + len(part) for part in head) + LENGTH :]
    blob = next(_parts(behind, 1), b"")
    kind = next(_parts(blob, 1), b"")
    if not data.startswith(MAGIC) or len(head) < HEAD or not kind or not kind.isascii():
        return None
    return Private(f"{kind.decode()} {base64.b64encode(blob).decode()}", head[0] != b"none")


def bits(blob: str) -> int:
    """The size of a public key, whose data are in base64; 0 where it is not known."""
    kind, *numbers = _parts(base64.b64decode(blob), 3)
    if kind == b"ssh-rsa" and len(numbers) > 1:
        return int.from_bytes(numbers[1], "big").bit_length()
    digits = "".join(filter(str.isdigit, kind.decode("ascii", "replace").partition("nistp")[2]))
    return 256 if b"ed25519" in kind else int(digits or 0)


def _parts(data: bytes, count: int) -> Iterator[bytes]:
    """The first parts of `data`, each behind its length; fewer where it ends."""
    for _ in range(count):
        end = LENGTH + int.from_bytes(data[:LENGTH], "big")
        if len(data) < max(end, LENGTH):
            return
        yield data[LENGTH:end]
        data = data[end:]
