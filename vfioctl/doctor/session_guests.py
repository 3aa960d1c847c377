"""Guests of users' own daemons (qemu:///session) that take devices of the host: these have no rights to any.

Reads only, in a child with a deadline: a home may lie on a share whose server is gone.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial

from vfioctl import files
from vfioctl.config.load import managed_guests
from vfioctl.doctor.definitions import SUFFIX, defined
from vfioctl.errors import Refused
from vfioctl.events.libvirt import INPUT_CAP
from vfioctl.findings import Finding, Severity
from vfioctl.host.host import Host
from vfioctl.host.readers import entries
from vfioctl.setup.rivals import SESSION_GUESTS, homes
from vfioctl.shell import word


def findings(host: Host) -> Iterator[Finding]:
    """Those that are not managed: of managed ones the hook's check speaks. Homes that may not be read have none."""
    managed = managed_guests(host.paths)
    for user, home in homes(host.paths):
        try:
            found = host.ask(home, partial(_texts, os.path.join(home, SESSION_GUESTS), managed))
        except Refused as error:
            yield Finding(error.code, error.message, Severity.INFO, "Bring that file system back: guests may be there.",
                          evidence=home)  # fmt: skip
            continue
        for path, text in found:
            yield from _takes(host, user, path, text)


def _texts(directory: str, managed: tuple[str, ...]) -> list[tuple[str, str]]:
    """Path and XML of each guest that a user's daemon keeps there and vfioctl does not manage."""
    names = (name for name in entries(directory) if name.endswith(SUFFIX) and name.removesuffix(SUFFIX) not in managed)
    found = ((path, _content(path)) for path in (os.path.join(directory, name) for name in names))
    return [(path, data.decode("utf-8", "replace")) for path, data in found if data]


def _content(path: str) -> bytes:
    """The user's own file: what is wrong with it is theirs to see."""
    try:
        return files.read_bytes(path, foreign=True, limit=INPUT_CAP)
    except OSError:
        return b""


def _takes(host: Host, user: str, path: str, text: str) -> Iterator[Finding]:
    try:
        guest = defined(host, path, text.encode())
    except Refused:
        return  # as above
    if guest:
        yield Finding(
            "domain.session",
            f"{guest.name} is a guest of {user}'s own daemon (qemu:///session), which may not give it "
            f"{guest.domain.pci_addresses[0]}.",
            Severity.WARN, f"Define it for the system: virsh -c qemu:///system define {word(path)}", evidence=path,
        )  # fmt: skip
