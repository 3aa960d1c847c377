"""Where a guest's domain XML comes from: a file, libvirt, or libvirt's own file; and how a changed one goes back.

Never asks libvirt while a hook runs, and never the daemon of another root.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from vfioctl.cli.facts import refuse_while_running
from vfioctl.cli.programs import SetupPrograms
from vfioctl.errors import Refused, VfioctlError
from vfioctl.events.domain import read_domain
from vfioctl.events.libvirt import INPUT_CAP, check_guest_name
from vfioctl.frozen import frozen

if TYPE_CHECKING:
    from vfioctl.cli.app import App
    from vfioctl.events.model import Domain

URI = "qemu:///system"
OURS = "/"


@frozen
class Found:
    """A domain with the XML that it was read from; `editable` when libvirt-python can take a changed one."""

    domain: Domain
    xml: bytes
    origin: str
    editable: bool = False


def find(app: App, guest: str, source: str | None) -> Found:
    """The domain of `guest` out of `source` ("-": standard input), else out of libvirt.

    Raises Refused: "domain.*", "guest.name", "guest.unknown", "libvirt.busy".
    """
    check_guest_name(guest)
    found = _from_file(source) if source else _from_libvirt(app, guest)
    if found.domain.name != guest:
        raise Refused(
            "domain.other_name", f"The domain in {found.origin} is called {found.domain.name!r}, not {guest!r}.",
            state="Nothing was changed.",
        )  # fmt: skip
    return found


def _from_file(source: str) -> Found:
    try:
        if source == "-":
            data = sys.stdin.buffer.read(INPUT_CAP + 1)
        else:
            with open(source, "rb") as file:
                data = file.read(INPUT_CAP + 1)
    except OSError as error:
        raise Refused("domain.unreadable", f"{source} cannot be read: {os.strerror(error.errno or 0)}.") from error
    return Found(read_domain(data), data, "standard input" if source == "-" else source)


def _from_libvirt(app: App, guest: str) -> Found:
    refuse_while_running(app.composition.paths)
    if app.composition.paths.root == OURS and (libvirt := python_binding()):
        data = _through_binding(libvirt, guest)
        return Found(read_domain(data), data, "libvirt", editable=True)
    programs = SetupPrograms(app.composition.programs)
    if programs.find("virsh"):
        data = _through_virsh(programs, guest)
        return Found(read_domain(data), data, "virsh dumpxml")
    return _from_its_file(app.composition.paths.at("etc/libvirt/qemu", f"{guest}.xml"), guest)


def python_binding() -> Any:
    """The module libvirt of the extra vfioctl[libvirt], or None."""
    try:
        import libvirt
    except ImportError:
        return None
    return libvirt


def _through_binding(libvirt: Any, guest: str) -> bytes:
    libvirt.registerErrorHandler(lambda _context, _error: None, None)  # it prints to stderr otherwise
    flags = libvirt.VIR_DOMAIN_XML_INACTIVE | (libvirt.VIR_DOMAIN_XML_SECURE if os.geteuid() == 0 else 0)
    try:
        connection = libvirt.open(URI) if os.geteuid() == 0 else libvirt.openReadOnly(URI)
        return bytes(connection.lookupByName(guest).XMLDesc(flags).encode())
    except libvirt.libvirtError as error:
        raise unknown(guest, str(error)) from error


def _through_virsh(programs: SetupPrograms, guest: str) -> bytes:
    secure = ("--security-info",) if os.geteuid() == 0 else ("--readonly",)
    options = ("-c", URI, *(("--readonly",) if secure == ("--readonly",) else ()))
    more = secure if secure != ("--readonly",) else ()
    try:
        return programs.run("virsh", *options, "dumpxml", "--inactive", *more, f"--domain={guest}")
    except VfioctlError as error:
        raise unknown(guest, error.message) from error


def _from_its_file(path: str, guest: str) -> Found:
    """libvirt keeps the definition there; reading it asks nobody."""
    try:
        return _from_file(path)
    except Refused as error:
        if error.code != "domain.unreadable":
            raise
        raise unknown(guest, "neither libvirt-python nor virsh is there to ask") from error


def unknown(guest: str, why: str) -> Refused:
    return Refused(
        "guest.unknown", f"The domain of {guest} could not be read: {why.rstrip('.')}.",
        state="Nothing was changed.", hints=("Give its XML with: --xml FILE",),
    )  # fmt: skip


def define(xml: bytes) -> None:
    """Give the changed domain to libvirt. Raises VfioctlError("libvirt.define")."""
    libvirt = python_binding()
    try:
        libvirt.open(URI).defineXML(xml.decode())
    except libvirt.libvirtError as error:
        raise VfioctlError("libvirt.define", f"libvirt does not take the changed domain: {error}.") from error
