"""Names of guests as they are typed in a shell: for every hint that names a command with one. Pure."""

from __future__ import annotations

from vfioctl.log import plain

PLAIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789@%+=:,./-_")


def word(name: str) -> str:
    """`name` as one word, as the value of an option too: `--guest` takes one that begins with a dash."""
    shown = plain(name)
    if shown and PLAIN.issuperset(shown):
        return shown
    import shlex  # costs the hook path, and few names need it

    return shlex.quote(shown)


def argument(name: str) -> str:
    """`name` as an argument: one that begins with a dash would be taken for an option."""
    return f"-- {word(name)}" if name.startswith("-") else word(name)
