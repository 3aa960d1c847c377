"""Words of POSIX sh: what a person is told to type, and what undo.sh calls. No other module quotes for a shell."""

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


def quote(value: str) -> str:
    """`value` as one word of POSIX sh that stands for exactly these characters. Raises ValueError on NUL."""
    if "\0" in value:
        raise ValueError("A NUL character cannot be passed to a program.")
    return "'" + value.replace("'", "'\\''") + "'"


def call(function: str, *arguments: str) -> str:
    """A call of one of the helper functions of undo.sh."""
    return " ".join((function, *map(quote, arguments)))
