"""Where a guest's domain XML comes from: a file, libvirt, or libvirt's own file. What changes it is in define.py.

Never asks libvirt while a hook runs, and never the daemon of another root.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from enum import StrEnum
from typing import TYPE_CHECKING

from vfioctl.actions.facts import refuse_while_running
from vfioctl.actions.libvirt import connection, down, has_daemon
from vfioctl.actions.programs import SetupPrograms
from vfioctl.errors import Refused, VfioctlError
from vfioctl.events.domain import read_domain
from vfioctl.events.libvirt import INPUT_CAP, check_guest_name
from vfioctl.frozen import frozen
from vfioctl.unknown import no_such
from vfioctl.virt.connection import is_installed
from vfioctl.virt.guests import read_guest, read_names
from vfioctl.virt.nodes import LOCAL

if TYPE_CHECKING:
    from vfioctl.actions.caller import Call, Caller
    from vfioctl.events.model import Domain
    from vfioctl.virt.connection import Connection

STDIN = "-"
XML = "Or give the domain's XML with: --xml FILE"


class Way(StrEnum):
    """How a domain was read; what libvirt gave can go back the same way."""

    FILE = "file"
    BINDING = "libvirt"
    VIRSH = "virsh dumpxml"


@frozen
class Found:
    """A domain with the XML that it was read from."""

    domain: Domain
    xml: bytes
    origin: str
    way: Way = Way.FILE

    @property
    def editable(self) -> bool:
        """Whether a changed domain can be given back to libvirt."""
        return self.way is not Way.FILE


def find(call: Call, guest: str, source: str | None) -> Found:
    """The domain of `guest` out of `source` ("-": standard input), else out of libvirt.

    Raises Refused: "domain.*", "guest.name", "guest.unknown", "libvirt.busy", "libvirt.down".
    """
    check_guest_name(guest)
    found = from_file(source, call.caller) if source else _from_libvirt(call, guest)
    if found.domain.name != guest:
        raise Refused(
            "domain.other_name", f"The domain in {found.origin} is called {found.domain.name!r}, not {guest!r}.",
            state="Nothing was changed.",
        )  # fmt: skip
    return found


def from_file(source: str, caller: Caller) -> Found:
    """The domain in the file `source`, "-" for the caller's standard input. Raises Refused: "domain.*"."""
    try:
        data = _from_stdin(caller) if source == STDIN else _content(source)
    except OSError as error:
        raise Refused("domain.unreadable", f"{source} cannot be read: {os.strerror(error.errno or 0)}.") from error
    return Found(read_domain(data), data, "standard input" if source == STDIN else source)


def _content(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read(INPUT_CAP + 1)


def _from_stdin(caller: Caller) -> bytes:
    if caller.stdin is None:
        raise Refused("domain.unreadable", "There is no standard input here to read the domain from.")
    return caller.stdin(INPUT_CAP + 1)


def guests(call: Call) -> tuple[str, ...]:
    """The name of every guest of this host. Raises Refused: "libvirt.busy", "libvirt.down"."""
    refuse_while_running(call.composition.paths)
    if _has_binding(call):
        with _connected(call) as libvirt:
            return read_names(libvirt)
    programs = SetupPrograms(call.composition.programs)
    if programs.find("virsh"):
        return _virsh_names(call, programs)
    return _names_of_files(call)


def _from_libvirt(call: Call, guest: str) -> Found:
    refuse_while_running(call.composition.paths, XML)
    if _has_binding(call):
        with _connected(call) as libvirt:
            data = read_guest(libvirt, guest).xml.encode()
        return Found(read_domain(data), data, "libvirt", Way.BINDING)
    programs = SetupPrograms(call.composition.programs)
    if programs.find("virsh"):
        data = _through_virsh(call, programs, guest)
        return Found(read_domain(data), data, "virsh dumpxml", Way.VIRSH)
    return _from_its_file(call, guest)


# ---------------------------------------------------------------- libvirt-python


def _has_binding(call: Call) -> bool:
    """Whether libvirt-python is there to ask, and the daemon that it reaches is that of this root."""
    return has_daemon(call.composition.paths) and is_installed()


def _connected(call: Call) -> Connection:
    """Without root only the read-only socket answers."""
    return connection(call, read_only=not call.caller.is_root)


# ---------------------------------------------------------------- virsh


def virsh_options(caller: Caller) -> tuple[str, ...]:
    """Without root only the read-only socket answers."""
    return ("-c", LOCAL.uri) if caller.is_root else ("-c", LOCAL.uri, "--readonly")


def _through_virsh(call: Call, programs: SetupPrograms, guest: str) -> bytes:
    secrets = ("--security-info",) if call.caller.is_root else ()
    words = (*virsh_options(call.caller), "dumpxml", "--inactive", *secrets, f"--domain={guest}")
    try:
        return programs.run("virsh", *words)
    except VfioctlError as error:
        try:
            known: tuple[str, ...] | None = _virsh_names(call, programs)
        except Refused as down:
            if "failed to get domain" not in error.message:
                down.hints = (*down.hints, XML)
                raise
            known = None
        raise unknown(guest, error.message, known) from error


def _virsh_names(call: Call, programs: SetupPrograms) -> tuple[str, ...]:
    try:
        said = programs.run("virsh", *virsh_options(call.caller), "list", "--all", "--name").decode(errors="replace")
    except VfioctlError as error:
        raise down(call, error.message) from error
    return tuple(sorted(filter(None, map(str.strip, said.splitlines()))))


# ---------------------------------------------------------------- libvirt's own files


def _names_of_files(call: Call) -> tuple[str, ...]:
    """libvirt keeps one definition a file; listing them asks nobody. Raises Refused("libvirt.down")."""
    try:
        names = os.listdir(call.composition.paths.at("etc/libvirt/qemu"))
    except OSError as error:
        raise down(call, "neither virsh nor libvirt-python is there to ask") from error
    return tuple(sorted(name.removesuffix(".xml") for name in names if name.endswith(".xml")))


def _from_its_file(call: Call, guest: str) -> Found:
    try:
        return from_file(call.composition.paths.at("etc/libvirt/qemu", f"{guest}.xml"), call.caller)
    except Refused as error:
        if error.code != "domain.unreadable":
            raise
        try:
            known: tuple[str, ...] | None = _names_of_files(call)
        except Refused:
            known = None
        raise unknown(guest, "neither virsh nor libvirt-python is there to ask", known) from error


# ---------------------------------------------------------------- what is said


def no_guest(guest: str, names: Iterable[str]) -> Refused:
    """The refusal of a guest that is none of `names`, which are all of this host."""
    return no_such("guest.unknown", f"There is no guest {guest!r}", guest, sorted(names), "The guests of this host")


def unknown(guest: str, why: str, names: Iterable[str] | None) -> Refused:
    """The refusal of a guest whose domain cannot be had; `names` are those of libvirt, None when it did not say."""
    known = None if names is None else tuple(names)
    if known is not None and guest not in known:
        return no_guest(guest, known)
    return Refused(
        "guest.unknown", f"The domain of {guest} could not be read: {why.rstrip('.')}.",
        state="Nothing was changed.", hints=("Give its XML with: --xml FILE",),
    )  # fmt: skip
