"""What the XML of a new guest has otherwise than virt-install's: all of it is in the table of the page, and no more."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree as ET

from vfioctl_guest.machine import Board, Card, Drive, Machine
from vfioctl_guest.machine_xml import document

HERE = Path(__file__).parent
PAGE = HERE.parents[2] / "docs/explanation/compared.md"
# As `virt-install --print-xml` 4.1 (Debian 12) printed it for the same choices with --osinfo debian11, names and
# addresses apart. It is no dependency: it prints only where libosinfo and its data are installed.
THEIRS = (HERE / "data/virt-install-4.1.xml").read_text()
QEMU = "/usr/bin/qemu-system-x86_64"
MACHINE = Machine(
    "web", "9f4f3a3a-8f0a-4b0e-9a53-0f2f0f7f1a11", 2 << 30, 2,
    Board("kvm", "x86_64", "pc-q35-7.2", QEMU, "host-passthrough", "virtio"),
    drives=(Drive("/images/web.qcow2", "qcow2", "vda"),
            Drive("/iso/debian.iso", "raw", "sda", "sata", cdrom=True, readonly=True)),
    cards=(Card("default", "52:54:00:00:00:01"),),
)  # fmt: skip
CELLS = r"(?P<ours>[^|]+) \| (?P<theirs>[^|]+) \| (?P<why>[^|]+)"
ROW = re.compile(rf"^\| `(?P<where>[a-zA-Z_/]+)` \| {CELLS} \|$", re.MULTILINE)


def facts(xml: str) -> dict[str, Counter[str]]:
    """Each element, by where it is, as often as it is there: its text and attributes."""
    found: dict[str, Counter[str]] = {}

    def read(element: ET.Element, path: str) -> None:
        said = sorted(f"{key}={value}" for key, value in element.attrib.items())
        found.setdefault(path, Counter())[" ".join((*said, (element.text or "").strip()))] += 1
        for child in element:
            tag = child.tag.rpartition("}")[2]
            read(child, f"{path}/{tag}".removeprefix("domain/"))

    read(ET.fromstring(xml), "domain")
    return found


def differences() -> set[str]:
    """Where both differ; of what only one of them has, the outermost element alone."""
    ours, theirs = facts(document(MACHINE)), facts(THEIRS)
    found = {path for path in ours.keys() | theirs.keys() if ours.get(path) != theirs.get(path)}
    only = {path for path in found if path not in ours or path not in theirs}
    return {path for path in found if path.rpartition("/")[0] not in only}


def table() -> list[dict[str, str]]:
    section = PAGE.read_text().partition("## The XML of a guest, beside virt-install's")[2].partition("\n## ")[0]
    return [row.groupdict() for row in ROW.finditer(section)]


def test_every_difference_has_its_row_and_every_row_is_a_difference() -> None:
    assert sorted(row["where"] for row in table()) == sorted(differences())


def test_every_row_says_both_sides_and_why() -> None:
    assert table()
    assert all(len(row["why"].split()) > 3 and row["ours"].strip() != row["theirs"].strip() for row in table())
