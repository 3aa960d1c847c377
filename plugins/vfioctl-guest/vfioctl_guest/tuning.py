"""What is to be changed of a guest, as steps: its configuration first, then what a running one takes at once. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from vfioctl.plugin import Refused, StepProposal, content_name, field, frozen, replace
from vfioctl_guest import settings
from vfioctl_guest.life import PAUSED, RUNNING, step
from vfioctl_guest.names import NOTHING_CHANGED

if TYPE_CHECKING:
    from vfioctl_guest.life import Subject

SLOW = 60.0  # seconds for a guest that lets go of a CPU


@frozen
class Wanted:
    """What a guest is to have; None and () for what stays. `memory` in bytes."""

    cpus: int | None = None
    memory: int | None = None
    boot: tuple[str, ...] = ()
    autostart: bool | None = None


@frozen
class Draft:
    """The steps, the contents that they name, and what a person has to know of them."""

    steps: tuple[StepProposal, ...] = ()
    contents: Mapping[str, bytes] = field(default_factory=dict)
    said: tuple[str, ...] = ()


def drafted(about: Subject, wanted: Wanted, *, autostarts: bool) -> Draft:
    """The steps to it; none where the guest has all of it. Raises Refused for what cannot be.

    `autostarts`: whether it starts with its node now.
    """
    if not about.guest.persistent:
        said = f"Guest {about.name} has no configuration that stays."
        raise Refused("guest.transient", said, state=NOTHING_CHANGED, hints=("Define it with: virsh define",))
    xml, former = _configured(about, wanted), about.guest.xml
    contents = {} if xml == former else {content_name(text.encode()): text.encode() for text in (former, xml)}
    runs = about.guest.state in (RUNNING, PAUSED)
    steps = []
    if contents:
        old, new = contents
        reason, more = "it is configured so from its next start on", {"live": True} if runs else {}
        steps.append(step(about, "domain.define", reason, blob=new, former=old, **more))
    if wanted.autostart not in (None, autostarts):
        reason = "it is to start with its node" if wanted.autostart else "it is not to start with its node"
        steps.append(step(about, "domain.autostart", reason, on=wanted.autostart, former=autostarts))
    live = list(_live(about, wanted)) if runs else []
    steps += [one for one in live if isinstance(one, StepProposal)]
    return Draft(tuple(steps), contents, tuple(one for one in live if isinstance(one, str)))


def _configured(about: Subject, wanted: Wanted) -> str:
    """Its configuration as it is to be; the very text that is there where nothing changes."""
    xml = about.guest.xml
    if wanted.cpus is not None and settings.cpus_of(xml)[0] != wanted.cpus:
        xml = settings.with_cpus(xml, wanted.cpus)
    if wanted.memory is not None and settings.memory_of(xml) != (wanted.memory >> 10, wanted.memory >> 10):
        xml = settings.with_memory(xml, wanted.memory)
    return settings.with_boot(about.name, xml, wanted.boot) if wanted.boot else xml


def _waits(xml: str, what: str, value: int, most: int) -> str:
    """Why a running guest does not take it now, "" where it does."""
    if what == "memory" and not settings.has_balloon(xml):
        return "it runs without a balloon"
    if value > most:
        return "it was started for no more than it has"
    if what == "cpus" and value < settings.fixed_cpus_of(xml):
        return "it keeps those that it was started with"
    return ""


def _live(about: Subject, wanted: Wanted) -> Iterator[StepProposal | str]:
    """What the running guest takes now, as steps; what has to wait, in words."""
    xml = about.guest.live_xml
    memory = None if wanted.memory is None else wanted.memory >> 10
    wishes = (
        ("cpus", wanted.cpus, settings.cpus_of(xml), "CPUs"),
        ("memory", memory, settings.memory_of(xml), "memory"),
    )
    for what, value, (present, most), called in wishes:
        if value is None or value == present:
            continue
        if why := _waits(xml, what, value, most):
            verb = "takes" if what == "memory" else "take"
            yield f"Its {called} {verb} effect at its next start: {why}."
        else:
            made = step(about, "domain.tune", f"it has other {called} at once", deadline=SLOW, what=what, value=value,
                        former=present)  # fmt: skip
            # A guest may keep a CPU that it is to let go: what it is configured with does not hang on that.
            yield replace(made, id=f"{made.id}-{what}", best_effort=value < present)
    if wanted.boot:
        yield "It boots from there at its next start."
