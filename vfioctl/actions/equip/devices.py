"""What `enable` puts into a domain and takes out of it, and the way back of exactly that. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from vfioctl.actions.equip.document import DEVICES, Part, children, only, put_in, put_inside, take_out
from vfioctl.actions.hostdev_mode import source_address
from vfioctl.frozen import field, frozen
from vfioctl.virt.device_xml import (
    as_text,
    evdev_element,
    hostdev_element,
    no_video_element,
    rom_element,
    shared_memory_element,
)

FEATURES = ("domain", "features")
MEMORY = "looking-glass"  # as Looking Glass calls its file in /dev/shm
HIDDEN = "<hidden state='on'/>"
KVM = f"<kvm>{HIDDEN}</kvm>"
SPICE = "spicevmc"  # a channel of SPICE, which QEMU refuses without one


@frozen
class Outfit:
    """What a domain is to get. `roms` are files by the function that they are for, `memory` is in MiB, 0 for none.

    `keyboards` of the `inputs` are those that hand all of them over.
    """

    hostdevs: tuple[str, ...] = ()
    roms: Mapping[str, str] = field(default_factory=dict)
    inputs: tuple[str, ...] = ()
    keyboards: frozenset[str] = frozenset()
    memory: int = 0
    without_display: bool = False
    hidden: bool = False


@frozen
class Put:
    """What was put into a domain, and the text of what was taken out of it."""

    hostdevs: tuple[str, ...] = ()
    roms: Mapping[str, str] = field(default_factory=dict)
    inputs: tuple[str, ...] = ()
    memory: bool = False
    hidden: bool = False
    removed: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return any((self.hostdevs, self.roms, self.inputs, self.memory, self.hidden, self.removed))


def dressed(xml: bytes, outfit: Outfit) -> tuple[bytes, Put]:
    """`xml` with `outfit`, and what of it was not there before. Raises Refused("domain.malformed")."""
    there = _named(xml)
    hostdevs = tuple(one for one in outfit.hostdevs if one not in there)
    inputs = tuple(one for one in outfit.inputs if one not in there)
    memory = outfit.memory if MEMORY not in there else 0
    removed = tuple(_of_the_display(xml)) if outfit.without_display else ()
    xml = take_out(xml, removed)
    new = [
        *map(hostdev_element, hostdevs),
        *(evdev_element(one, keyboard=one in outfit.keyboards) for one in inputs),
        *((shared_memory_element(MEMORY, memory),) if memory else ()),
        *((no_video_element(),) if removed else ()),
    ]
    xml = put_in(xml, DEVICES, map(as_text, new))
    xml, roms = _with_roms(xml, outfit.roms)
    hidden = outfit.hidden and not hides(xml)
    texts = tuple(part.text.decode() for part in removed)
    return _hide(xml) if hidden else xml, Put(hostdevs, roms, inputs, bool(memory), hidden, texts)


def undressed(xml: bytes, put: Put) -> bytes:
    """`xml` without what `put` names, as far as it is still there, and with what was taken out."""
    gone = {*put.hostdevs, *put.inputs, *((MEMORY,) if put.memory else ())}
    parts = children(xml, *DEVICES)
    mine = [part for part in parts if _name(part) in gone or (put.removed and _is_no_video(part))]
    xml = take_out(xml, mine)
    for part in reversed(children(xml, *DEVICES)):
        if _name(part) in put.roms:
            xml = _without(xml, part, ("domain", "devices", part.name), "rom")
    return put_in(_unhide(xml) if put.hidden else xml, DEVICES, put.removed)


def merged(first: Put, second: Put) -> Put:
    """What both have put in, one after the other."""
    return Put(
        (*first.hostdevs, *second.hostdevs), {**first.roms, **second.roms}, (*first.inputs, *second.inputs),
        first.memory or second.memory, first.hidden or second.hidden, (*first.removed, *second.removed),
    )  # fmt: skip


def _named(xml: bytes) -> frozenset[str]:
    return frozenset(map(_name, children(xml, *DEVICES)))


def _name(part: Part) -> str:
    """What tells a device from its like: the function that it is of, an input device, a piece of memory; else ""."""
    element = part.element
    if part.name == "shmem":
        return element.get("name", "")
    source = element.find("source")
    if source is None:
        return ""
    if part.name == "input":
        return source.get("dev", "")
    address = source.find("address")
    is_function = part.name == "hostdev" and element.get("type") == "pci"
    return source_address(address.attrib) if is_function and address is not None else ""


def _of_the_display(xml: bytes) -> Iterator[Part]:
    """The screens of a domain, and what hangs on SPICE; nothing where it has none."""
    parts = children(xml, *DEVICES)
    if not any(part.name == "graphics" for part in parts):
        return
    for part in parts:
        kind = part.element.get("type", "")
        of_spice = (part.name in ("channel", "redirdev") and kind == SPICE) or (part.name, kind) == ("audio", "spice")
        if part.name in ("graphics", "video") or of_spice:
            yield part


def _is_no_video(part: Part) -> bool:
    model = part.element.find("model") if part.name == "video" else None
    return model is not None and model.get("type") == "none"


def rom_of(xml: bytes, address: str) -> str | None:
    """The ROM file that the hostdev of the function at `address` names; "" for a <rom> without one, None for none."""
    rom = next((part.element.find("rom") for part in children(xml, *DEVICES) if _name(part) == address), None)
    return None if rom is None else rom.get("file", "")


def _with_roms(xml: bytes, roms: Mapping[str, str]) -> tuple[bytes, dict[str, str]]:
    """`xml` with the files `roms` for the functions that say nothing of a ROM; and those that were put in."""
    new = {}
    for part in reversed(children(xml, *DEVICES)):
        file = roms.get(_name(part))
        if file and part.element.find("rom") is None:
            new[_name(part)] = file
            xml = put_inside(xml, part, as_text(rom_element(file)))
    return xml, new


def _without(xml: bytes, part: Part, path: tuple[str, ...], name: str) -> bytes:
    """`xml` without the elements `name` of `part`, which is one at `path`."""
    inside = (one for one in children(xml, *path) if one.name == name)
    return take_out(xml, [one for one in inside if part.start < one.start < part.end])


def hides(xml: bytes) -> bool:
    """Whether the guest is not told that it runs on KVM."""
    found = children(xml, *FEATURES, "kvm")
    return any(part.name == "hidden" and part.element.get("state") == "on" for part in found)


def _hide(xml: bytes) -> bytes:
    kvm = only(xml, *FEATURES, "kvm")
    if kvm and kvm.closing < kvm.end:
        return put_inside(xml, kvm, HIDDEN)
    features = only(xml, *FEATURES)
    if features and features.closing < features.end:
        return put_in(xml, FEATURES, (f"<kvm>\n  {HIDDEN}\n</kvm>",))
    return put_in(take_out(xml, [features] if features else ()), FEATURES[:1], (f"<features>\n  {KVM}\n</features>",))


def _unhide(xml: bytes) -> bytes:
    """Without that, and without what holds nothing else then."""
    kvm, features = only(xml, *FEATURES, "kvm"), only(xml, *FEATURES)
    if kvm is None or features is None:
        return xml
    if [one.tag for one in kvm.element] != ["hidden"]:
        return _without(xml, kvm, (*FEATURES, "kvm"), "hidden")
    return take_out(xml, [features if len(features.element) == 1 else kvm])
