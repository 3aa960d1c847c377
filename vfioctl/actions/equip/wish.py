"""What somebody wants a guest to get of this host. Words as they were typed; nothing is looked up here."""

from __future__ import annotations

from vfioctl.frozen import frozen

KEEP, NONE = "keep", "none"


@frozen
class Wish:
    """`gpu` is an address or first-free, `usb` are addresses of USB controllers, `screen` is WIDTHxHEIGHT.

    `display` is keep, none, or "" where nobody said.
    """

    gpu: str = ""
    usb: tuple[str, ...] = ()
    rom: str = ""
    display: str = ""
    evdev: tuple[str, ...] = ()
    screen: str = ""
    hidden: bool = False

    def __bool__(self) -> bool:
        """Whether it asks for anything of the domain."""
        said = (self.gpu, self.usb, self.rom, self.evdev, self.screen, self.hidden, self.display == NONE)
        return any(said)
