"""The files that are given for a seed or a user: text of a bearable size. What is in them stands in no message."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, NoReturn

from vfioctl.plugin import Refused, read_bytes
from vfioctl_guest.names import NOTHING_CHANGED
from vfioctl_guest.seed.password import is_hash

if TYPE_CHECKING:
    from vfioctl.plugin import Call

LARGEST = 1 << 20  # bytes
SEED = "guest.seed"


def text_of(call: Call, path: str, option: str, code: str = SEED) -> str:
    """What is in the file that `option` names. Raises Refused(code)."""
    there = os.path.abspath(path)
    try:
        return bytes.fromhex(call.host().ask(there, partial(_hex, there))).decode()
    except UnicodeDecodeError:
        no(f"{path} ({option}) is no text in UTF-8.", code)
    except OSError as error:
        no(f"{path} ({option}) cannot be read: {error.strerror or error}.", code)


def _hex(path: str) -> str:
    """What is in the file, as JSON can keep it."""
    return read_bytes(path, follow=True, limit=LARGEST).hex()


def line_of(call: Call, path: str, option: str, code: str = SEED) -> str:
    """The same of a file with one line."""
    text = text_of(call, path, option, code).removesuffix("\n").removesuffix("\r")
    if not text or not text.isprintable():
        no(f"{path} ({option}) has to have one line, and nothing else.", code)
    return text


def hash_of(call: Call, path: str, code: str = SEED) -> str:
    """The hash of a password that --password-hash-file names."""
    found = line_of(call, path, "--password-hash-file", code)
    if not is_hash(found):
        no(f"What is in {path} is no hash of a password: expected one such as `openssl passwd -6` makes.", code)
    return found


def no(said: str, code: str = SEED) -> NoReturn:
    """Raise Refused(code)."""
    raise Refused(code, said, state=NOTHING_CHANGED)
