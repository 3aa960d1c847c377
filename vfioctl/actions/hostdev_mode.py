"""The `managed` attribute of a domain's devices of the host, changed in place: nothing else moves. And the diff."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from xml.parsers import expat

from vfioctl import files
from vfioctl.errors import Refused, reason
from vfioctl.events.element import Element, pci_address
from vfioctl.frozen import frozen

if TYPE_CHECKING:
    from vfioctl.paths import Paths

PASSWORD = re.compile(r"""(\spasswd\s*=\s*["'])[^"']*(["'])""")
DEVICES = (("hostdev", "pci"), ("interface", "hostdev"))  # elements and their types
ATTRIBUTE = re.compile(rb"""(\smanaged\s*=\s*)(["'])(yes|no)\2""")


@dataclass(slots=True)
class _Place:
    """An element that says how a device is managed: where its start tag begins, what it says, the source address."""

    at: int
    managed: str | None
    address: str = ""


@dataclass(slots=True)
class _Reader:
    """Collects the places while expat reads; the stack has the name and the type of each open element."""

    parser: Any
    stack: list[tuple[str, str]] = field(default_factory=list)
    places: list[_Place] = field(default_factory=list)

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self.stack.append((name, attributes.get("type", "")))
        if _says_managed(self.stack):
            self.places.append(_Place(self.parser.CurrentByteIndex, attributes.get("managed")))
        elif _is_source_address(self.stack) and attributes.get("type", "pci") == "pci":
            self.places[-1].address = source_address(attributes)

    def end(self, _name: str) -> None:
        self.stack.pop()


def _says_managed(stack: list[tuple[str, str]]) -> bool:
    """Whether the innermost element may have `managed`: a device, or the source of a disk's NVMe drive at any depth."""
    names = [name for name, _ in stack]
    if names[:2] != ["domain", "devices"]:
        return False
    if len(stack) == 3:  # noqa: PLR2004 -- domain, devices and one of these
        return stack[2] in DEVICES
    return names[2:3] == ["disk"] and names[-1] == "source" and stack[-2][1] == "nvme"


def _is_source_address(stack: list[tuple[str, str]]) -> bool:
    """Whether the innermost element is the address of such a device, and not the one inside the guest."""
    names = [name for name, _ in stack[-2:]]
    return names == ["source", "address"] and (_says_managed(stack[:-1]) or _says_managed(stack[:-2]))


def source_address(attributes: Mapping[str, str]) -> str:
    """The address that a <source>'s <address> with these `attributes` says: DDDD:BB:DD.F. Raises as `pci_address`."""
    return pci_address(Element("address", dict(attributes), 0))


def _places(xml: bytes) -> list[_Place]:
    parser = expat.ParserCreate()
    reader = _Reader(parser)
    parser.StartElementHandler, parser.EndElementHandler = reader.start, reader.end
    parser.Parse(xml, True)  # noqa: FBT003 -- expat's signature
    return reader.places


def managed_addresses(xml: bytes) -> tuple[str, ...]:
    """The addresses that `xml` takes with managed='yes'. The XML was checked by events.domain before."""
    return tuple(place.address for place in _places(xml) if place.address and place.managed == "yes")


def set_managed(xml: bytes, value: str, addresses: Iterable[str]) -> bytes:
    """`xml` with managed='`value`' for the devices at `addresses` that say something else; all other bytes stay."""
    wanted = frozenset(addresses)
    for place in reversed(_places(xml)):
        if place.address in wanted and place.managed not in (None, value):
            xml = xml[: place.at] + _replace(xml[place.at :], value)
    return xml


def _replace(tail: bytes, value: str) -> bytes:
    put: Callable[[re.Match[bytes]], bytes] = lambda found: found[1] + found[2] + value.encode() + found[2]  # noqa: E731
    return ATTRIBUTE.sub(put, tail, count=1)


def difference(before: bytes, after: bytes, name: str) -> str:
    """The change as a unified diff, for `virsh edit`; empty when nothing changes. Passwords are not shown."""
    old, new = (PASSWORD.sub(r"\1***\2", text.decode(errors="replace")).splitlines() for text in (before, after))
    return "\n".join(difflib.unified_diff(old, new, f"{name} now", f"{name} wanted", lineterm="", n=2))


# ---------------------------------------------------------------- what was before


@frozen
class Before:
    """What `enable` found: the guest's UUID and the devices that said managed='yes'.

    `equipped` is what equip.record keeps of the devices that were put in; None where there were none.
    """

    uuid: str
    addresses: tuple[str, ...]
    equipped: Any = None


def remember(paths: Paths, uuid: str, guest: str, addresses: Iterable[str]) -> None:
    """Keep, durably and before the change, which devices said managed='yes'; what was kept before stays."""
    kept = before_of(paths, uuid)
    files.write_json(paths.before_enable(uuid), record(guest, (*kept.addresses, *addresses), kept.equipped))


def before_of(paths: Paths, uuid: str) -> Before:
    """What `enable` found in the domain `uuid`; nothing where it never was asked. Raises as `before`."""
    path = paths.before_enable(uuid)
    return _read(path)[1] if os.path.lexists(path) else Before(uuid, ())


def record(guest: str, addresses: Iterable[str] = (), equipped: Any = None) -> dict[str, Any]:
    """What the file says of a guest whose devices at `addresses` said managed='yes'."""
    more = {} if equipped is None else {"equipped": equipped}
    return {"guest": guest, "managed": list(dict.fromkeys(addresses)), **more}


def before(paths: Paths, guest: str) -> tuple[Before, ...]:
    """What `enable` found each time it was asked for a guest of this name; one that was renamed or is gone counts too.

    Raises Refused("managed.malformed") when one of the records is damaged: it may be that of the guest.
    """
    try:
        uuids = sorted(name.removesuffix(".json") for name in os.listdir(_directory(paths)) if name.endswith(".json"))
    except FileNotFoundError:
        return ()
    found = tuple(_read(paths.before_enable(uuid)) for uuid in uuids)
    return tuple(before for name, before in found if name == guest)


def _read(path: str) -> tuple[str, Before]:
    """The guest that the record `path` is of, and what it says."""
    try:
        record = files.read_json(path)
        if not isinstance(record, dict):
            raise ValueError("it is no object")
        name, addresses = record["guest"], record["managed"]
        if not isinstance(addresses, list) or not all(isinstance(text, str) for text in (name, *addresses)):
            raise ValueError("its guest or its devices are no text")
    except (ValueError, KeyError) as error:
        raise _malformed(path, error) from error
    return name, Before(os.path.basename(path).removesuffix(".json"), tuple(addresses), record.get("equipped"))


def _malformed(path: str, error: Exception) -> Refused:
    why = f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else reason(error)
    return Refused(
        "managed.malformed", f"{path} does not say what `enable` found: {why}.", state="Nothing was changed.",
        hints=("Put the file aside, and look at managed= in the domains yourself: virsh edit GUEST",),
    )  # fmt: skip


def forget(paths: Paths, uuid: str) -> None:
    """Keep it no longer."""
    files.remove(paths.before_enable(uuid))


def _directory(paths: Paths) -> str:
    return os.path.dirname(paths.before_enable("x"))
