"""Something that is wrong with a network on this host, and what mends it. Pure."""

from __future__ import annotations

from vfioctl.plugin import frozen


@frozen
class Command:
    """A program that mends something, and the one that takes that back; without one it stays, and harms nobody."""

    argv: tuple[str, ...]
    undo: tuple[str, ...]
    reason: str


@frozen
class Problem:
    """Something that is wrong; `missing` is what is not there, one by one.

    Mended by `first`, then by libvirt, where it has to write its rules again (`refresh`), then by `commands`. Where
    there is none of them, `vfioctl network repair` cannot mend it.
    """

    code: str
    text: str
    hint: str
    missing: tuple[str, ...] = ()
    first: tuple[Command, ...] = ()
    refresh: bool = False
    commands: tuple[Command, ...] = ()

    @property
    def is_mended(self) -> bool:
        return self.refresh or bool(self.first or self.commands)
