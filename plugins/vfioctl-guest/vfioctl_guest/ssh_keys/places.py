"""Where the key pairs of this host are, and what they are called. Reads names only."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from vfioctl.plugin import Refused
from vfioctl_guest.names import LONGEST, NOTHING_CHANGED

if TYPE_CHECKING:
    import click

    from vfioctl.plugin import Call

PLACE, PUBLIC = "/etc/vfioctl/ssh-keys", ".pub"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*", re.ASCII)


def path_of(name: str) -> str:
    """Where the private half is, as steps name it."""
    return f"{PLACE}/{name}"


def check_name(name: str) -> None:
    """Raise Refused("ssh_key.bad_name")."""
    if NAME.fullmatch(name) and len(name) <= LONGEST and not name.endswith(PUBLIC):
        return
    rule = f"expected up to {LONGEST} letters, digits, '.', '_' and '-', beginning with one of the first two, no .pub"
    raise Refused("ssh_key.bad_name", f"{name!r} cannot name a key: {rule}.", state=NOTHING_CHANGED)


def names(call: Call) -> list[str]:
    """The names of all keys."""
    try:
        found = os.listdir(call.paths.at(PLACE))
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted(one.removesuffix(PUBLIC) for one in found if one.endswith(PUBLIC))


def stored(call: Call, word: str) -> str:
    """The file of public keys that `word` names: itself, or a key of this host where no file is called so."""
    if not NAME.fullmatch(word) or os.path.lexists(word):
        return word
    kept = call.paths.at(f"{path_of(word)}{PUBLIC}")
    return kept if os.path.lexists(kept) else word


def key_names(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """What a shell offers where a key of this host may be named."""
    return [name for name in names(ctx.find_root().obj) if name.startswith(incomplete)]
