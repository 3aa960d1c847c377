"""What came back from an editor as a guest's configuration: what speaks against it, and how it differs. Reads XML."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from xml.etree import ElementTree as ET

from vfioctl.plugin import Finding, Refused, parse_element, taken_devices
from vfioctl_guest import hotplug
from vfioctl_guest.names import NOTHING_CHANGED

CODE = "guest.edit"
SECRET = re.compile(r"""(\bpasswd=)(?:'[^']*'|"[^"]*")""")  # of a display
AROUND = 3  # lines of context


def check_edited(guest: str, uuid: str, text: str) -> None:
    """Raise Refused("domain.malformed", "domain.entities", "domain.too_large", "guest.edit")."""
    root = parse_element(text.encode())
    if root.name != "domain":
        _no(f"It is a <{root.name}>, and no <domain>.")
    name, its = (root.text_of(what) or "" for what in ("name", "uuid"))
    if name.strip() != guest:
        said = f"Guest {guest} is called {name.strip()!r} in it, which would be another guest."
        _no(said, f"Rename it with: vfioctl guest rename {guest} NEW")
    if its.strip().lower() != uuid:
        _no(f"Guest {guest} has the UUID {its.strip() or 'of nobody'} in it, not {uuid}: it would be another guest.")


def is_same(one: str, other: str) -> bool:
    """Whether both say the same: blanks, quotes and the order of attributes say nothing."""
    return ET.canonicalize(one, strip_text=True) == ET.canonicalize(other, strip_text=True)


def difference(guest: str, former: str, wanted: str) -> str:
    """The change as a unified diff, without the passwords of displays."""
    lines = difflib.unified_diff(
        former.splitlines(), wanted.splitlines(), f"{guest} now", f"{guest} edited", n=AROUND, lineterm=""
    )
    return "\n".join(SECRET.sub(r"\1'***'", line) for line in lines)


def new_disks(former: str, wanted: str) -> Iterator[tuple[str, bool]]:
    """Each disk of a file or block device that `wanted` has more, as XML, and whether others may have it, too."""
    known = {hotplug.path_of(_text(disk)) for disk in ET.fromstring(former).iterfind("devices/disk")}
    for disk in ET.fromstring(wanted).iterfind("devices/disk"):
        if (path := hotplug.path_of(_text(disk))) and path not in known:
            shared = (disk.find(what) is not None for what in ("readonly", "shareable"))
            yield _text(disk), disk.get("device") == hotplug.CDROM or any(shared)


def findings_of_devices(former: str, wanted: str, others: Iterable[tuple[str, str]]) -> Iterator[Finding]:
    """A device of the host that another guest has, too."""
    for (_, name), guests in sorted(taken_devices(former, wanted, others).items()):
        said = f"The device {name} is one of {', '.join(sorted(guests))} already."
        yield Finding("guest.in_use", said, hint="Take it from that guest first.")


def _text(element: ET.Element) -> str:
    return ET.tostring(element, encoding="unicode")


def _no(said: str, *hints: str) -> None:
    raise Refused(CODE, said, state=NOTHING_CHANGED, hints=hints)
