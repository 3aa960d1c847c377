"""Quoting for POSIX sh. No other module builds shell text from values."""

from __future__ import annotations


def quote(value: str) -> str:
    """`value` as one word of POSIX sh that stands for exactly these characters. Raises ValueError on NUL."""
    if "\0" in value:
        raise ValueError("A NUL character cannot be passed to a program.")
    return "'" + value.replace("'", "'\\''") + "'"


def call(function: str, *arguments: str) -> str:
    """A call of one of the helper functions of undo.sh."""
    return " ".join((function, *map(quote, arguments)))
