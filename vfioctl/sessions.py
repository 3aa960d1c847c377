"""What a verb wants done with its terminal once it has given its result: descriptions, as frozen data.

Touches no terminal and opens nothing: the door of the terminal, cli/sessions, carries them out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vfioctl.frozen import frozen

if TYPE_CHECKING:
    from typing import TypeAlias

    Session: TypeAlias = "ConsoleSession | ProgramSession"


@frozen
class ConsoleSession:
    """The serial console of the guest `uuid` on `node`, which libvirt dials as `uri`, until `escape` is typed.

    `device` is libvirt's alias of the serial port. `escape` is one character, "" for none. What the guest says is also
    appended to the file `log`, "" for none. With `force` whoever has it open loses it.
    """

    guest: str
    uuid: str
    node: str
    uri: str
    device: str
    escape: str = "\x1d"
    log: str = ""
    force: bool = False


@frozen
class ProgramSession:
    """A program that takes the place of ours, with its terminal and the caller's environment; `argv` is all of it.

    Where it is not installed, the first of `others` that is takes its place; `install` says what to do without any.
    """

    argv: tuple[str, ...]
    others: tuple[tuple[str, ...], ...] = ()
    install: str = ""
