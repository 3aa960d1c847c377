"""What `enable` keeps of a domain that it put devices into: as it was, as libvirt had made it, what was put in.

It lies in the private file of `hostdev_mode`, since a domain may hold passwords.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from vfioctl import files
from vfioctl.actions import hostdev_mode
from vfioctl.actions.equip.devices import Put, undressed
from vfioctl.errors import Refused
from vfioctl.frozen import asdict, frozen

if TYPE_CHECKING:
    from vfioctl.actions.hostdev_mode import Before
    from vfioctl.paths import Paths


@frozen
class Equipment:
    """`former` is the domain as it was, `made` what libvirt had made of the new one; "" where that was not seen."""

    former: bytes
    put: Put
    made: bytes = b""

    def as_json(self) -> dict[str, Any]:
        return {"former": self.former.decode(), "made": self.made.decode(), "put": asdict(self.put)}


def equipment(before: Before | None, path: str) -> Equipment | None:
    """What was put in, as `before` keeps it in the file `path`; None for nothing. Raises Refused("managed.malformed").
    """
    if before is None or before.equipped is None:
        return None
    try:
        said = before.equipped
        put = said["put"]
        return Equipment(
            said["former"].encode(),
            Put(tuple(put["hostdevs"]), dict(put["roms"]), tuple(put["inputs"]), put["memory"] is True,
                put["hidden"] is True, tuple(put["removed"])),
            said["made"].encode(),
        )  # fmt: skip
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise Refused(
            "managed.malformed", f"{path} does not say what `enable` put into the domain: {error!r}.",
            state="Nothing was changed.",
            hints=("Put the file aside, and look at the devices of the domain yourself: virsh edit GUEST",),
        ) from error  # fmt: skip


@frozen
class WayBack:
    """The domain without what `enable` put in. `edited`: somebody has changed it since, and that stays."""

    xml: bytes
    edited: bool


def way_back(present: bytes, before: Before, kept: Equipment) -> WayBack:
    """How the domain that is `present` goes back: byte for byte, or without what was put in where it was edited."""
    if _unmarked(present) == _unmarked(kept.made):
        return WayBack(kept.former, edited=False)
    plain = hostdev_mode.set_managed(undressed(present, kept.put), "yes", before.addresses)
    return WayBack(kept.former if plain == kept.former else plain, edited=plain != kept.former)


def _unmarked(document: bytes) -> bytes:
    """Without an empty <metadata/>: libvirt keeps it when the mark of an operation goes, as that of `guest start`."""
    return re.sub(rb"\n *<metadata/>", b"", document)


def seen(paths: Paths, uuid: str, guest: str, present: bytes) -> None:
    """Keep what libvirt has made of the domain, so that an edit by somebody else is told from it."""
    before = hostdev_mode.before_of(paths, uuid)
    if kept := equipment(before, paths.before_enable(uuid)):
        new = Equipment(kept.former, kept.put, present)
        files.write_json(paths.before_enable(uuid), hostdev_mode.record(guest, before.addresses, new.as_json()))
