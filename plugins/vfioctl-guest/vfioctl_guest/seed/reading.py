"""The files that are given for a seed: text of a bearable size. What is in them stands in no message."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, NoReturn

from vfioctl.plugin import Refused, read_bytes
from vfioctl_guest.names import NOTHING_CHANGED

if TYPE_CHECKING:
    from vfioctl.plugin import Call

LARGEST = 1 << 20  # bytes


def text_of(call: Call, path: str, option: str) -> str:
    """What is in the file that `option` names. Raises Refused("guest.seed")."""
    there = os.path.abspath(path)
    try:
        return bytes.fromhex(call.host().ask(there, partial(_hex, there))).decode()
    except UnicodeDecodeError:
        no(f"{path} ({option}) is no text in UTF-8.")
    except OSError as error:
        no(f"{path} ({option}) cannot be read: {error.strerror or error}.")


def _hex(path: str) -> str:
    """What is in the file, as JSON can keep it."""
    return read_bytes(path, follow=True, limit=LARGEST).hex()


def line_of(call: Call, path: str, option: str) -> str:
    """The same of a file with one line."""
    text = text_of(call, path, option).removesuffix("\n").removesuffix("\r")
    if not text or not text.isprintable():
        no(f"{path} ({option}) has to have one line, and nothing else.")
    return text


def no(said: str) -> NoReturn:
    """Raise Refused("guest.seed")."""
    raise Refused("guest.seed", said, state=NOTHING_CHANGED)
