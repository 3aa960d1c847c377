"""The KEY=VALUE blocks that `systemctl show` and `loginctl show-session` print. Runs nothing."""

from __future__ import annotations

from vfioctl.host.readers import parse_number


def blocks(text: str) -> tuple[dict[str, str], ...]:
    """The blocks of `text`, parted by empty lines, in order. A line without "=" says nothing."""
    parts = (part.splitlines() for part in text.split("\n\n"))
    found = ([line.partition("=") for line in lines if "=" in line] for lines in parts)
    return tuple({key: value for key, _, value in lines} for lines in found if lines)


def number(word: str | None) -> int | None:
    """`word` as a number that is not negative, or None."""
    value = parse_number(word)
    return value if value is not None and value >= 0 else None
