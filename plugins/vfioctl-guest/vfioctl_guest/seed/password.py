"""Hashes of passwords as a guest's /etc/shadow has them: made by libcrypt, which also checks the host's own log-ins.

Python has no module for it any more. Nothing here keeps or prints a password.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any

from vfioctl.plugin import Refused
from vfioctl_guest.names import NOTHING_CHANGED

SHA512 = b"$6$"  # every Linux guest can check it; not all know yescrypt
SONAMES = ("libcrypt.so.1", "libcrypt.so.2")  # Debian; Fedora
HASH = re.compile(r"\$(?:[156]|2[aby]|y|gy|7)\$[A-Za-z0-9./=,$]{8,256}")  # crypt(5): $id$, parameters and salt, hash


def hashed(password: str) -> str:
    """The SHA-512 crypt(5) hash of `password`, with a salt of its own. Raises Refused("guest.no_crypt")."""
    library = _libcrypt()
    setting = library.crypt_gensalt(SHA512, 0, None, 0)
    found = library.crypt(password.encode(), setting) or b""
    if not found.startswith(SHA512):
        raise Refused("guest.no_crypt", "libcrypt of this host makes no SHA-512 hashes.", state=NOTHING_CHANGED)
    return str(found.decode("ascii"))


def is_hash(text: str) -> bool:
    """Whether `text` is a hash as crypt(5) has them: neither a password nor DES, which is broken."""
    return HASH.fullmatch(text) is not None


def _libcrypt() -> Any:
    import ctypes

    for name in SONAMES:
        with suppress(OSError, AttributeError):  # it is not there, or cannot make a salt
            library = ctypes.CDLL(name)
            library.crypt.restype = library.crypt_gensalt.restype = ctypes.c_char_p
            library.crypt.argtypes = (ctypes.c_char_p, ctypes.c_char_p)
            library.crypt_gensalt.argtypes = (ctypes.c_char_p, ctypes.c_ulong, ctypes.c_char_p, ctypes.c_int)
            return library
    raise Refused(
        "guest.no_crypt", "This host has no libcrypt that could hash the password.", state=NOTHING_CHANGED,
        hints=("Hash it elsewhere (openssl passwd -6), and give that with --password-hash-file.",),
    )  # fmt: skip
