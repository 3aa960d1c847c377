"""A change of a guest's devices as an operation: in the running guest, in its configuration, or in both."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from vfioctl.plugin import Message, Refused, argument, content_name, frozen, replace
from vfioctl_guest import hotplug
from vfioctl_guest.life import PAUSED, RUNNING, Doing, hinting, perform, step
from vfioctl_guest.names import NOTHING_CHANGED

if TYPE_CHECKING:
    from vfioctl.plugin import Call, Finding, Question, Result, StepProposal
    from vfioctl_guest.life import Subject

LIVE, CONFIG = "live", "config"
LETS_GO = 60.0  # seconds that a running guest has to let go of a device
REASONS = {"attach": "is given to it", "detach": "is taken from it", "media": "gets another medium"}


@frozen
class Change:
    """A device that comes ("attach"), goes ("detach") or gets another medium ("media"); `later`: at its next start."""

    how: str
    device: str
    former: str = ""
    later: bool = False
    force: bool = False
    findings: tuple[Finding, ...] = ()
    question: Question | None = None


def change(call: Call, about: Subject, wanted: Change, *, dry_run: bool, verb: str = "") -> Result:
    """The result of the operation; what comes later is said."""
    verb = verb or ("attach" if wanted.how == "media" else wanted.how)
    where = _where(about, wanted)
    contents: dict[str, bytes] = {}
    made = [_step(about, wanted, places, former, contents) for places, former in _parts(about, wanted, where)]
    if len(made) > 1:
        made = [replace(one, id=f"{one.id}-{one.params['where'][0]}") for one in made]
    result = perform(call, about, made, Doing(verb, dry_run, wanted.question, wanted.findings, contents))
    device = hotplug.names(ET.fromstring(wanted.device))[0]
    result = hinting(
        result, "guest.holds", "Unmount it, or set it down, in the guest; then detach it again.",
        f"Or from its next start on: vfioctl guest detach {about.called} {argument(device)} --next-start",
    )  # fmt: skip
    runs = about.guest.state in (RUNNING, PAUSED)
    return result.saying(Message("It takes effect at its next start.")) if runs and LIVE not in where else result


def _step(
    about: Subject, wanted: Change, places: list[str], former: str, contents: dict[str, bytes]
) -> StepProposal:  # fmt: skip
    """The change in these places; what it names comes into `contents`."""
    params: dict[str, Any] = {"where": places, **({"force": True} if wanted.force else {})}
    for key, text in (("blob", wanted.device), ("former", former)):
        if text:
            name = content_name(text.encode())
            params[key], contents[name] = name, text.encode()
    reason = f"{hotplug.called(wanted.device)} {REASONS[wanted.how]}{'' if LIVE in places else ' with its next start'}"
    return step(about, f"device.{wanted.how}", reason, deadline=LETS_GO, **params)


def _parts(about: Subject, wanted: Change, where: list[str]) -> Iterator[tuple[list[str], str]]:
    """The places that change together, each with what is there. A drive that has one medium as it runs and another one
    as it is configured gets back what it had in each; where it has the new one already, nothing changes."""
    found = {place: _present(about, wanted.device, place) for place in where} if wanted.how == "media" else {}
    media = {place: hotplug.medium_of(one) for place, one in found.items()}
    if not media or all(one == hotplug.medium_of(wanted.former) for one in media.values()):
        yield where, wanted.former
        return
    goal = hotplug.medium_of(wanted.device)
    yield from (([place], found[place]) for place in reversed(where) if media[place] != goal)


def _present(about: Subject, device: str, place: str) -> str:
    """The drive as it is there."""
    xml = about.guest.live_xml if place == LIVE else about.guest.xml
    return hotplug.named(about.name, xml, hotplug.names(ET.fromstring(device))[0])


def _where(about: Subject, wanted: Change) -> list[str]:
    """Where the device is to change: of what goes, where it is. Raises Refused("guest.transient")."""
    runs = about.guest.state in (RUNNING, PAUSED) and not wanted.later
    documents = {LIVE: about.guest.live_xml if runs else "", CONFIG: about.guest.xml if about.guest.persistent else ""}
    found = [place for place, xml in documents.items() if xml and (wanted.how == "attach" or _has(xml, wanted.device))]
    if not found:
        said = f"Guest {about.name} has no configuration that stays: it cannot take effect later."
        raise Refused("guest.transient", said, state=NOTHING_CHANGED)
    return found


def _has(xml: str, device: str) -> bool:
    element = ET.fromstring(device)
    wanted = hotplug.names(element)[0]
    return any(wanted in hotplug.names(one) for one in ET.fromstring(xml).iterfind(f"devices/{element.tag}"))
