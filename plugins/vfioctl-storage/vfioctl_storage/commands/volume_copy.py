"""What a volume is made of another one with: a whole copy, or one that lies above it. Only plans."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vfioctl.plugin import Refused, argument
from vfioctl_storage.commands.volume_work import RAW, is_marked, must_take, step
from vfioctl_storage.names import NOTHING_CHANGED

if TYPE_CHECKING:
    from vfioctl.plugin import Call, Connection, Pool, StepProposal
    from vfioctl_storage.commands.volume_work import Subject

QCOW2 = "qcow2"


def derived(
    call: Call, connection: Connection, from_: Subject, into: Pool, new: str, *, form: str | None, linked: bool
) -> StepProposal:
    """The step that makes `new` in the pool `into`: a whole copy of `from_`, or what lies above it. Raises Refused."""
    must_be_at_rest(from_, linked=linked)
    marked, volume = is_marked(call, from_.node, into), from_.volume
    if linked:
        hint = "Make a whole copy there: leave --linked out, and give --image-format raw."
        must_take(connection, into, new, QCOW2, 0, hint=hint)
        return _above(from_, form, step("volume.create", from_.node, into, new, f"it lies above {volume.name}"),
                      marked=marked)  # fmt: skip
    chosen = form or volume.format
    must_take(connection, into, new, chosen, volume.capacity, hint="Give --image-format raw.")
    return step(
        "volume.clone", from_.node, into, new, f"a whole copy of {volume.name}", format=chosen,
        size=volume.capacity, source_pool=from_.pool.uuid, source=volume.name, source_format=volume.format,
        domains=list(from_.domains), marked=marked,
    )  # fmt: skip


def _above(from_: Subject, form: str | None, made: StepProposal, *, marked: bool) -> StepProposal:
    from vfioctl.plugin import replace

    if form == RAW:
        said = "A raw volume cannot lie above another one."
        raise Refused("volume.format", said, state=NOTHING_CHANGED, hints=("Leave --image-format out.",))
    volume = from_.volume
    more = {"format": QCOW2, "size": volume.capacity, "backing": volume.path, "backing_format": volume.format,
            "marked": marked}  # fmt: skip
    return replace(made, params={**made.params, **more})


def must_be_an_image(from_: Subject) -> None:
    """Raise Refused("volume.format") where a guest can write the header, and so choose what would be read below it."""
    volume = from_.volume
    if from_.raw_to and volume.format != RAW:
        said = f"The volume {volume.name} is raw to {', '.join(from_.raw_to)}, and begins as {volume.format}."
        hint = f"Copy its bytes as they are: qemu-img convert -f raw -O raw {argument(volume.path)} NEW"
        raise Refused("volume.format", said, state=NOTHING_CHANGED, hints=(hint,))


def must_be_at_rest(from_: Subject, *, linked: bool) -> None:
    """Raise Refused where `from_` cannot be copied, or lie below another one: "volume.format", "volume.busy", …"""
    volume, there = from_.volume, from_.node.there
    if volume.format not in (QCOW2, RAW):
        said = f"The volume {volume.name} is {volume.format or 'of no format that libvirt knows'}, not qcow2 or raw."
        raise Refused("volume.format", said, state=NOTHING_CHANGED)
    must_be_an_image(from_)
    if from_.writers:
        running = sorted({one.name for one in from_.writers})
        raise Refused(
            "volume.busy", f"The volume {volume.name} is written to by running guests: {', '.join(running)}.",
            state=NOTHING_CHANGED,
            hints=tuple(f"Shut it down: vfioctl guest stop {argument(one)}{there}" for one in running),
        )  # fmt: skip
    if saved := sorted(set(from_.users.saved) & set(from_.owners)):
        said = f"The volume {volume.name} belongs to the saved state of {', '.join(saved)}."
        discard = f"vfioctl guest discard-saved {argument(saved[0])}{there}"
        hint = f"Start it and shut it down, or give up what was saved: {discard}"
        raise Refused("domain.saved", said, state=NOTHING_CHANGED, hints=(hint,))
    if linked and from_.owners:
        hint = f"Copy it: vfioctl volume clone {argument(from_.pool.name)} {argument(volume.name)} NEW{there}"
        said = f"Guests write to the volume {volume.name}: {', '.join(from_.owners)}. What lies above it would break."
        raise Refused("volume.used", said, state=NOTHING_CHANGED, hints=(hint,))
