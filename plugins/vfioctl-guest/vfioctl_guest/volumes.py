"""The volumes that are made for a new guest, as steps: empty ones, ones above a template, and its seed. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from vfioctl.plugin import StepProposal, as_size, content_name

if TYPE_CHECKING:
    from vfioctl_guest.site import Blank, Image

SHORT = 30.0  # seconds
PRIVATE = "0600"


def volume_steps(uri: str, images: Iterable[Image]) -> tuple[tuple[StepProposal, ...], dict[str, bytes]]:
    """The steps that make those of `images` which are not there yet, and the contents that they name."""
    steps: list[StepProposal] = []
    contents: dict[str, bytes] = {}
    for image in images:
        if (new := image.blank) is None:
            continue
        steps.append(_made(uri, image, new))
        if new.content:
            blob = content_name(new.content)
            contents[blob] = new.content
            steps.append(_filled(uri, new, blob))
    return tuple(steps), contents


def _made(uri: str, image: Image, new: Blank) -> StepProposal:
    return StepProposal(
        id=f"guest:volume:{new.name}", kind="volume.create", deadline=SHORT, reason=_what(new),
        params={**_about(uri, new), "format": image.format, "size": new.size, **dict(_more(new))},
    )  # fmt: skip


def _about(uri: str, new: Blank) -> dict[str, Any]:
    return {"uri": uri, "pool": new.pool, "name": new.name, "marked": new.marked}


def _more(new: Blank) -> Iterator[tuple[str, Any]]:
    if new.below:
        yield from (("backing", new.below), ("backing_format", new.below_format))
    if new.content:
        yield "mode", PRIVATE
    if new.later:
        yield "later", True


def _what(new: Blank) -> str:
    if new.content:
        return "its seed, which it reads when it first boots"
    empty = f"an empty disk of {as_size(new.size)}"
    return f"a disk of {as_size(new.size)} above the template {new.template}" if new.below else empty


def _filled(uri: str, new: Blank, blob: str) -> StepProposal:
    return StepProposal(
        id=f"guest:content:{new.name}", kind="volume.upload", deadline=SHORT, reason="what its seed says",
        params={**_about(uri, new), "blob": blob, "size": new.size}, after=(f"guest:volume:{new.name}",),
    )  # fmt: skip
