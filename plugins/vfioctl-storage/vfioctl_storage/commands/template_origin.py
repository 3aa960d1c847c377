"""What a template is made of, as the steps of its operation need it. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from vfioctl.plugin import Refused, frozen
from vfioctl_storage.names import NOTHING_CHANGED

if TYPE_CHECKING:
    from vfioctl.plugin import StepProposal
    from vfioctl_storage.commands.template_room import Room

CD, DESCRIPTOR = b"CD001", 0x8001  # ISO 9660: what its first volume descriptor says, and where


@frozen
class Origin:
    """`said` is what it is, for people; `used` about how many bytes it takes; `sha256` that of the image, where it is
    known before the image is made. `steps` make the volume of that name in a room. `unchecked` is the
    address of what is to be taken without a checksum, "" for nothing.
    """

    said: str
    format: str
    size: int
    used: int
    steps: Callable[[Room, str], tuple[StepProposal, ...]]
    sha256: str = ""
    unchecked: str = ""


def must_be_no_cd(said: str, begin: bytes) -> None:
    """Raise Refused("template.iso") where an image begins as that of a CD: nothing is laid above one."""
    if begin[DESCRIPTOR : DESCRIPTOR + len(CD)] == CD:
        why = f"{said} is the image of a CD, and a template is that of a disk."
        hints = ("Give it to a guest as a CD: it needs no template.",)
        raise Refused("template.iso", why, state=NOTHING_CHANGED, hints=hints)


def unclear(said: str, hint: str) -> Refused:
    """The refusal of words that do not say one thing."""
    return Refused("template.origin", f"{said}.", state=NOTHING_CHANGED, hints=(hint,))
