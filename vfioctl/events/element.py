"""A bounded element tree from untrusted bytes: no DTD, no entities, no bombs. Knows nothing of domains."""

from __future__ import annotations

from collections.abc import Iterator
from xml.parsers import expat

from vfioctl.errors import Refused, VfioctlError

MAX_ELEMENTS = 50_000  # a domain with 100 disks has about 2,000
MAX_DEPTH = 100


class Element:
    """One XML element. `text` is its own character data, unstripped."""

    __slots__ = ("attributes", "children", "line", "name", "text")

    def __init__(self, name: str, attributes: dict[str, str], line: int) -> None:
        self.name = name
        self.attributes = attributes
        self.line = line
        self.text = ""
        self.children: list[Element] = []

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


def parse_element(data: bytes) -> Element:
    """The root element of `data`. Raises Refused: domain.malformed, domain.entities, domain.too_large."""
    builder = _Builder()
    try:
        builder.parser.Parse(data, True)  # noqa: FBT003 -- expat takes isfinal by position only
    except expat.ExpatError as error:
        raise malformed(error.lineno, expat.ErrorString(error.code) or "not XML") from None
    except (ValueError, LookupError) as error:  # an encoding that expat cannot use
        raise malformed(builder.parser.CurrentLineNumber, str(error)) from None
    if builder.root is None:
        raise malformed(1, "there is no element")
    return builder.root


class _Builder:
    """Receives expat's events; stops at the first thing that a domain XML never has."""

    def __init__(self) -> None:
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartDoctypeDeclHandler = self._refuse_doctype
        self.parser.EntityDeclHandler = self._refuse_doctype
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text
        self.root: Element | None = None
        self.open: list[Element] = []
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
        if self.open:
            self.open[-1].children.append(element)
        else:
            self.root = element
        self.open.append(element)

    def _end(self, _name: str) -> None:
        self.open.pop()

    def _text(self, text: str) -> None:
        self.open[-1].text += text
