"""What is known of a boot loader, and what a change of the command line is there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vfioctl.plugin import Refused, VfioctlError, frozen, read_bytes

if TYPE_CHECKING:
    from collections.abc import Callable

    from vfioctl.plugin import FileEdit, Host
    from vfioctl_setup.words import Words

TEXT = "utf-8", "surrogateescape"  # what is not text in a file stays as it is


@frozen
class BootChange:
    """Edits and the programs that they need to count; or `lines` that a person must type or write, and `where`."""

    edits: tuple[FileEdit, ...] = ()
    refresh: tuple[tuple[str, ...], ...] = ()
    where: str = ""
    lines: tuple[str, ...] = ()


@frozen
class Loader:
    """A boot loader that was found: its `name` for options, and how people call it.

    `entries` are the words of each entry of its menu, as they are for the next boot: None where that cannot be seen.
    """

    name: str
    title: str
    entries: tuple[tuple[str, ...], ...] | None
    change: Callable[[Host, Words], BootChange]

    def holds(self, words: Words) -> bool | None:
        """Whether every entry is as it should be; None where that cannot be seen."""
        return all(words.hold_in(entry) for entry in self.entries) if self.entries else None


def text_of(host: Host, path: str) -> str | None:
    """The text of the file `path`, None where there is none. Raises Refused("setup.unreadable")."""
    place = host.paths.at(path)
    try:
        return host.ask(place, lambda: read_bytes(place, foreign=True).decode(*TEXT))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise Refused(
            "setup.unreadable", f"{path} cannot be read: {error.strerror}.", state="Nothing was changed.",
            hints=("As another user than root: sudo vfioctl setup",),
        ) from error  # fmt: skip


def seen(host: Host, path: str) -> str | None:
    """The same where it is only to be shown: None where it cannot be read, too."""
    try:
        return text_of(host, path)
    except VfioctlError:
        return None


def as_bytes(text: str) -> bytes:
    return text.encode(*TEXT)
