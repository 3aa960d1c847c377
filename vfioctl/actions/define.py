"""Gives a changed domain back to libvirt, by the way it came: with a copy kept before, and a look afterwards."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from vfioctl import files
from vfioctl.actions.domains import Found, Way, find, virsh_options
from vfioctl.actions.facts import refuse_while_running
from vfioctl.actions.libvirt import connection
from vfioctl.actions.programs import SetupPrograms
from vfioctl.errors import VfioctlError
from vfioctl.events.domain import read_domain
from vfioctl.shell import word

if TYPE_CHECKING:
    from vfioctl.actions.caller import Call
    from vfioctl.paths import Paths


def define(call: Call, found: Found, xml: bytes) -> None:
    """Make `xml` the definition of the guest in `found`.

    Raises VfioctlError("libvirt.define") when libvirt does not take it as it is; Refused("libvirt.busy").
    """
    paths = call.composition.paths
    refuse_while_running(paths)
    kept = keep(paths, found)
    try:
        _give(call, found, xml)
        now = find(call, found.domain.name, None).domain.hostdevs
    except VfioctlError as error:
        raise _failed(kept, error.message) from error
    if now != _expected(xml):
        raise _failed(kept, "it does not show the change")


def _expected(xml: bytes) -> object:
    return read_domain(xml).hostdevs


def keep(paths: Paths, found: Found) -> str:
    """Keep the domain as it is, for root alone; return the file."""
    kept = paths.definition(found.domain.uuid)
    files.make_private_dir(os.path.dirname(kept))
    files.atomic_write(kept, found.xml.decode())
    return kept


def _give(call: Call, found: Found, xml: bytes) -> None:
    if found.way is Way.BINDING:
        _through_binding(call, found, xml)
    else:
        _through_virsh(call, found, xml)


def _through_binding(call: Call, found: Found, xml: bytes) -> None:
    with connection(call) as libvirt:
        libvirt.ask(lambda handle: handle.defineXML(xml.decode()), f"the definition of {found.domain.name}")


def _through_virsh(call: Call, found: Found, xml: bytes) -> None:
    """virsh reads a file; it lies beside the copy, where only root may look."""
    wanted = f"{call.composition.paths.definition(found.domain.uuid)}.wanted"
    files.atomic_write(wanted, xml.decode(), durable=False)
    try:
        SetupPrograms(call.composition.programs).run("virsh", *virsh_options(call.caller), "define", f"--file={wanted}")
    finally:
        files.remove(wanted)


def _failed(kept: str, why: str) -> VfioctlError:
    return VfioctlError(
        "libvirt.define", f"libvirt does not take the changed domain: {why.rstrip('.')}.",
        state=f"The domain as it was is kept in {kept}.",
        hints=(f"Put it back with: virsh -c qemu:///system define {word(kept)}",),
    )  # fmt: skip
