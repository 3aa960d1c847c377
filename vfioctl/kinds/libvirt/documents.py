"""libvirt's XML as the steps compare it: one spelling, and whether libvirt has made something of what it was given."""

from __future__ import annotations

import io
from collections.abc import Container, Iterable, Mapping
from contextlib import suppress
from xml.etree import ElementTree as ET

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import StepFailed

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

# What libvirt adds by itself to the definition of a domain, and to whose elements it adds attributes (formatdomain).
ADDED = frozenset((
    "address", "alias", "audio", "backingStore", "boot", "controller", "driver", "input", "listen", "memballoon",
    "model", "seclabel", "target",
))  # fmt: skip
# What it adds where the choice of the firmware was left to it: since 9.2 at once, before when the guest starts.
CHOSEN = ADDED | {"firmware", "loader", "nvram"}
# What a snapshot's record is known by; the domain in it is libvirt's own text of it (formatsnapshot).
RECORD = ("name", "creationTime", "state", "description", "parent", "disks")

DISKS = "*/devices/disk"  # of the domains, as it ran and as configured, in the record of a snapshot


def canonical(document: str) -> str:
    """`document` in one spelling: order of attributes, quotes, blanks. Raises StepFailed("domain.malformed").

    An empty <metadata> is left out: libvirt keeps it when the last of what was in it goes.
    """
    root = _root(document)
    for parent in list(root.iter()):
        for child in [one for one in parent if one.tag == "metadata" and not len(one)]:
            parent.remove(child)
    return ET.canonicalize(ET.tostring(root, encoding="unicode"), strip_text=True)


def covers(asked: str, present: str) -> bool:
    """Whether `present` is what libvirt makes of `asked`: all of it, and nothing more than libvirt adds by itself."""
    return canonical(asked) == canonical(present) or _covers(_root(asked), _root(present))


def same_record(asked: str, present: str) -> bool:
    """Whether `present` is the record of a snapshot that libvirt keeps of `asked`."""
    one, other = _root(asked), _root(present)
    return all(_same_part(one.find(part), other.find(part)) for part in RECORD)


def reparented(document: str, parent: str) -> str:
    """The record `document` of a snapshot, with another one above it, or none where `parent` is ""."""
    root = _root(document)
    for former in root.findall("parent"):
        root.remove(former)
    if parent:
        ET.SubElement(ET.SubElement(root, "parent"), "name").text = parent
    return ET.tostring(root, encoding="unicode")


def parent_of(document: str) -> str:
    """The name of the snapshot above the one that is recorded in `document`; "" for none, or no document."""
    return _root(document).findtext("parent/name", "") if document else ""


def name_of(document: str) -> str:
    """The name of a domain or snapshot."""
    return _root(document).findtext("name", "")


def uuid_of(document: str) -> str:
    """The UUID of a domain or network."""
    return _root(document).findtext("uuid", "")


def sources(document: str) -> frozenset[str]:
    """The files that the disks of a domain, or of the record of a snapshot, are on."""
    return frozenset(found for one in _root(document).iterfind(".//disk/source") if (found := one.get("file")))


def drives(document: str) -> dict[str, str]:
    """The files by the disks' targets, of a domain or of a snapshot."""
    found: dict[str, str] = {}
    for disk in _root(document).iterfind(".//disk"):
        target, source = disk.find("target"), disk.find("source")
        name = disk.get("name") or ("" if target is None else target.get("dev")) or ""
        if source is not None and (path := source.get("file")):
            found[name] = path
    return found


def same_drives(asked: str, present: str) -> bool:
    """Whether the record `present` of a snapshot has put the same disks on the same files as `asked`."""
    root = _root(present).find("disks")
    return root is not None and drives(asked) == drives(ET.tostring(root, encoding="unicode"))


def without_chain(document: str, target: str) -> str:
    """`document` without what it says of the images below the disk `target`: libvirt looks at the images then."""
    root = _with_prefixes(document)
    for disk in root.iterfind("devices/disk"):
        name = disk.find("target")
        for chain in disk.findall("backingStore") if name is not None and name.get("dev") == target else ():
            disk.remove(chain)
    return ET.tostring(root, encoding="unicode")


def names_one(document: str, images: Container[str], gone: Container[str] = ()) -> bool:
    """Whether a domain in the record `document` of a snapshot has a disk on one of the `images`, or over it.

    Or only over one of those that are `gone`.
    """
    return bool(document) and any(_names(disk, images, gone) for disk in _root(document).iterfind(DISKS))


def moved(
    document: str, images: Mapping[str, str], formats: Mapping[str, str], gone: Container[str] = ()
) -> str:
    """The record `document` of a snapshot with other images, of the `formats`, in the place of some; by their paths.

    A chain with one of those in it, or with one that is `gone`, is left out.
    """
    root = _with_prefixes(document)
    for disk in [one for one in root.iterfind(DISKS) if _names(one, images, gone)]:
        for chain in disk.findall("backingStore"):
            disk.remove(chain)
        source, driver = disk.find("source"), disk.find("driver")
        if source is not None and (to := images.get(source.get("file", ""))):
            source.set("file", to)
            if driver is not None:
                driver.set("type", formats[to])
    return ET.tostring(root, encoding="unicode")


def _names(disk: Element, images: Container[str], gone: Container[str]) -> bool:
    if any(source.get("file") in images for source in disk.iter("source")):
        return True
    return any(source.get("file") in gone for source in disk.iterfind("backingStore//source"))


def _with_prefixes(document: str) -> Element:
    """The root of `document`, whose names keep their prefixes when it is written again."""
    for _, (prefix, uri) in ET.iterparse(io.StringIO(document), events=("start-ns",)):
        with suppress(ValueError):  # "ns0" and its like are Python's own
            ET.register_namespace(prefix, uri)
    return _root(document)


def _root(document: str) -> Element:
    try:
        return ET.fromstring(document)  # it comes from libvirt, or from a blob that only we write
    except ET.ParseError as error:
        raise StepFailed("domain.malformed", f"The XML that a step names cannot be read: {error}.") from error


def _same_part(one: Element | None, other: Element | None) -> bool:
    if one is None or other is None:
        return one is other
    return _covers(one, other)


def _covers(asked: Element, present: Element, added: frozenset[str] = ADDED) -> bool:
    if asked.tag != present.tag or _text(asked) != _text(present):
        return False
    more = present.attrib.keys() - asked.attrib.keys()
    if asked.attrib.items() - present.attrib.items() or (more and asked.tag not in added):
        return False
    inner = CHOSEN if asked.tag == "os" and asked.get("firmware") else ADDED
    left = [child for child in present if not _is_empty_metadata(child)]
    for child in _exact_first(asked, left):
        found = next((one for one in left if _covers(child, one, inner)), None)
        if found is None:
            return False
        left.remove(found)
    return all(child.tag in inner for child in left)


def _exact_first(asked: Element, present: Iterable[Element]) -> list[Element]:
    """The children of `asked`, first those that are there as they are: what is less sure takes nothing from them."""
    known = {ET.tostring(one) for one in present}
    wanted = [child for child in asked if not _is_empty_metadata(child)]
    return sorted(wanted, key=lambda child: ET.tostring(child) not in known)


def _is_empty_metadata(element: Element) -> bool:
    return element.tag == "metadata" and not len(element)


def _text(element: Element) -> str:
    return (element.text or "").strip()
