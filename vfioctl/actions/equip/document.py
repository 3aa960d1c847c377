"""A domain's XML changed in place: elements put in and taken out, all other bytes as they were. Pure.

The XML is libvirt's, or was checked by events.domain before.
"""

from __future__ import annotations

from collections.abc import Iterable
from textwrap import indent
from typing import Any
from xml.etree import ElementTree as ET
from xml.parsers import expat

from vfioctl.errors import Refused
from vfioctl.frozen import frozen

DEVICES = ("domain", "devices")


@frozen
class Part:
    """An element of a document: from the byte `start` up to `end`, its own end tag from `closing` on.

    `closing` is `end` for an element without content.
    """

    name: str
    start: int
    closing: int
    end: int
    text: bytes

    @property
    def element(self) -> ET.Element:
        return ET.fromstring(self.text)


class _Reader:
    """Collects the elements whose parents are called as `parent`; expat counts in bytes of the document."""

    def __init__(self, xml: bytes, parent: tuple[str, ...]) -> None:
        self.xml = xml
        self.parent = parent
        self.stack: list[str] = []
        self.begun = 0
        self.parts: list[Part] = []
        self.parser: Any = expat.ParserCreate()
        self.parser.StartElementHandler, self.parser.EndElementHandler = self._start, self._end

    def read(self) -> tuple[Part, ...]:
        self.parser.Parse(self.xml, True)  # noqa: FBT003 -- expat's signature
        return tuple(self.parts)

    def _start(self, name: str, _attributes: object) -> None:
        if tuple(self.stack) == self.parent:
            self.begun = self.parser.CurrentByteIndex
        self.stack.append(name)

    def _end(self, name: str) -> None:
        """At an end tag expat stands before it, at the end of <name/> behind it."""
        self.stack.pop()
        if tuple(self.stack) != self.parent:
            return
        at = self.parser.CurrentByteIndex
        end = self.xml.index(b">", at) + 1 if self.xml.startswith(b"</" + name.encode(), at) else at
        self.parts.append(Part(name, self.begun, at, end, self.xml[self.begun : end]))


def children(xml: bytes, *parent: str) -> tuple[Part, ...]:
    """The elements directly below `parent` ("domain", "devices"), in their order."""
    return _Reader(xml, parent).read()


def only(xml: bytes, *path: str) -> Part | None:
    """The first element at `path`; None where there is none."""
    return next((part for part in children(xml, *path[:-1]) if part.name == path[-1]), None)


def put_in(xml: bytes, path: tuple[str, ...], fragments: Iterable[str]) -> bytes:
    """`xml` with `fragments` as the last ones of the element at `path`. Raises Refused("domain.malformed")."""
    parent, margin = only(xml, *path), "  " * len(path)
    if parent is None or parent.closing == parent.end:
        raise Refused("domain.malformed", f"The domain XML has nothing in <{path[-1]}>.", state="Nothing was changed.")
    new = "".join(indent(f"{fragment.strip()}\n", margin) for fragment in fragments).encode()
    if not new:
        return xml
    line = xml.rfind(b"\n", 0, parent.closing) + 1
    at = line if not xml[line : parent.closing].strip() else parent.closing
    return xml[:at] + new + xml[at:]


def put_inside(xml: bytes, part: Part, fragment: str) -> bytes:
    """`xml` with `fragment` as the last element of `part`, which has others."""
    line = xml.rfind(b"\n", 0, part.closing) + 1
    margin = xml[line : part.closing]
    if margin.strip():
        return xml[: part.closing] + fragment.encode() + xml[part.closing :]
    return xml[:line] + margin + b"  " + fragment.encode() + b"\n" + xml[line:]


def take_out(xml: bytes, parts: Iterable[Part]) -> bytes:
    """`xml` without `parts`, and without the lines that held nothing else."""
    for part in sorted(parts, key=lambda one: one.start, reverse=True):
        start, end = part.start, part.end
        line = xml.rfind(b"\n", 0, start) + 1
        if not xml[line:start].strip() and xml[end : end + 1] == b"\n":
            start, end = line, end + 1
        xml = xml[:start] + xml[end:]
    return xml
