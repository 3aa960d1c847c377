"""A bounded element tree from untrusted bytes, and its numbers: no DTD, no entities, no bombs. Knows no domain."""

from __future__ import annotations

import pyexpat as expat  # xml.parsers.expat, without the three files around it
from collections.abc import Container, Iterator

from vfioctl.errors import Refused, VfioctlError

MAX_ELEMENTS = 50_000  # a domain with 100 disks has about 2,000
MAX_DEPTH = 100
PCI_LIMITS = {"domain": 0xFFFFFFFF, "bus": 0xFF, "slot": 0x1F, "function": 7}
PREFIXES = {"k": 1, "m": 2, "g": 3, "t": 4, "p": 5, "e": 6}


class Element:
    """One XML element. `text` is its own character data, unstripped."""

    __slots__ = ("attributes", "children", "line", "name", "text")

    def __init__(self, name: str, attributes: dict[str, str], line: int) -> None:
        self.name = name
        self.attributes = attributes
        self.line = line
        self.text = ""
        self.children: list[Element] = []

    @property
    def is_extended(self) -> bool:
        """Whether a child is of another namespace, with a prefix or without: few domains have one."""
        return any(":" in child.name or "xmlns" in child.attributes for child in self.children)

    def get(self, attribute: str) -> str | None:
        return self.attributes.get(attribute)

    def find(self, *path: str) -> Element | None:
        """The first descendant at `path`."""
        here: Element | None = self
        for name in path:
            here = next(here.all(name), None) if here else None
        return here

    def all(self, name: str) -> Iterator[Element]:
        """The children called `name`, in order."""
        return (child for child in self.children if child.name == name)

    def text_of(self, *path: str) -> str | None:
        """The text of the first descendant at `path`; None when it is absent or empty."""
        found = self.find(*path)
        return (found.text or None) if found else None


def malformed(line: int, why: str) -> VfioctlError:
    """The error about a domain XML that cannot be read at `line`."""
    return Refused("domain.malformed", f"The domain XML is malformed at line {line}: {why}.")


def parse_element(data: bytes, *, unread: Container[str] = ()) -> Element:
    """The root element of `data`. Raises Refused: domain.malformed, domain.entities, domain.too_large.

    Children of the root whose name is in `unread` are kept without their text and without what is below them.
    """
    builder = _Builder(unread)
    try:
        builder.parser.Parse(data, True)  # noqa: FBT003 -- expat takes isfinal by position only
    except expat.ExpatError as error:
        raise malformed(error.lineno, expat.ErrorString(error.code) or "not XML") from None
    except (ValueError, LookupError) as error:  # an encoding that expat cannot use
        raise malformed(builder.parser.CurrentLineNumber, str(error)) from None
    if builder.root is None:
        raise malformed(1, "there is no element")
    return builder.root


def short(text: str) -> str:
    """`text` as far as it fits a sentence."""
    return text if len(text) <= 60 else f"{text[:60]}…"  # noqa: PLR2004 -- what fits a sentence


def unsigned(text: str, element: Element, limit: int, what: str) -> int:
    """`text` as C reads a number with base 0, which is how libvirt reads it. Raises Refused(domain.malformed)."""
    lower = text.strip().lower()
    base = 16 if lower.startswith("0x") else 8 if lower.startswith("0") and lower != "0" else 10
    try:
        if not lower.isascii() or not lower.isalnum():
            raise ValueError(lower)
        value = int(lower, base)
    except ValueError:
        raise malformed(element.line, f"{what} is {short(text)!r}, not a number") from None
    if value > limit:
        raise malformed(element.line, f"{what} is {short(text)}, more than {limit}")
    return value


def pci_address(address: Element) -> str:
    """The element `address` as DDDD:BB:DD.F; a part that is absent is 0. Raises Refused(domain.malformed)."""
    parts = {
        part: unsigned(address.get(part) or "0", address, limit, f"{part} of a PCI address")
        for part, limit in PCI_LIMITS.items()
    }
    return "{domain:04x}:{bus:02x}:{slot:02x}.{function:x}".format(**parts)


def size(text: str, unit: str | None, element: Element) -> int:
    """`text` times `unit` (KiB when it is None) in bytes. Raises Refused(domain.malformed)."""
    digits = text.strip()
    if not digits.isascii() or not digits.isdigit() or len(digits) > 20:  # noqa: PLR2004 -- digits of 2^64
        raise malformed(element.line, f"<{element.name}> is {short(digits)!r}, not a number")
    return int(digits) * _factor(unit or "KiB", element)


def _factor(unit: str, element: Element) -> int:
    """Bytes in one `unit`: "KiB" and "k" are 1024, "KB" is 1000 (virScaleInteger in libvirt)."""
    lower = unit.strip().lower()
    if lower in ("b", "byte", "bytes"):
        return 1
    power = PREFIXES.get(lower[:1])
    if power is None or lower[1:] not in ("", "b", "ib"):
        raise malformed(element.line, f"the unit of <{element.name}> is {short(unit)!r}")
    return int((1000 if lower[1:] == "b" else 1024) ** power)


class _Builder:
    """Receives expat's events; stops at the first thing that a domain XML never has.

    expat gives the text of an element in pieces, one between each two of its children. They are joined at its end:
    adding each to the text so far would copy that text each time.
    """

    def __init__(self, unread: Container[str]) -> None:
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartDoctypeDeclHandler = self._refuse_doctype
        self.parser.EntityDeclHandler = self._refuse_doctype
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text
        self.root: Element | None = None
        self.open: list[Element] = []
        self.pieces: list[list[str]] = []  # the text of each open element
        self.unread = unread
        self.count = 0

    def _refuse_doctype(self, *_: object) -> None:
        raise Refused("domain.entities", "The domain XML declares a DTD or entities; libvirt never does.")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self.count += 1
        line = self.parser.CurrentLineNumber
        if self.count > MAX_ELEMENTS:
            raise Refused("domain.too_large", f"The domain XML has more than {MAX_ELEMENTS} elements.")
        if len(self.open) >= MAX_DEPTH:
            raise malformed(line, f"elements are nested more than {MAX_DEPTH} deep")
        element = Element(name, attributes, line)
        if not self.open:
            self.root = element
        elif self._is_read():
            self.open[-1].children.append(element)
        self.open.append(element)
        self.pieces.append([])

    def _end(self, _name: str) -> None:
        pieces = self.pieces.pop()
        if self._is_read():
            self.open[-1].text = "".join(pieces)
        self.open.pop()

    def _text(self, text: str) -> None:
        if self._is_read():
            self.pieces[-1].append(text)

    def _is_read(self) -> bool:
        """Whether anybody asks for what is in the innermost open element."""
        return len(self.open) < 2 or self.open[1].name not in self.unread  # noqa: PLR2004 -- root and its child
