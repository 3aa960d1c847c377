"""Lets vfioctl manage a guest: its file, the pinned identities of its cards, managed='no' in the domain.

One operation, but for a domain that only virsh can be given: that comes after it.
"""

from __future__ import annotations

import os
import uuid
from typing import TYPE_CHECKING, Any

from vfioctl import files
from vfioctl.actions import hostdev_mode
from vfioctl.actions.caller import NOTHING_CHANGED
from vfioctl.actions.defining import defining
from vfioctl.actions.domain_change import Change, by_hand, changed
from vfioctl.actions.domains import Way, find
from vfioctl.actions.enable_words import agreed, kept_file, no_device, unasked
from vfioctl.actions.enabling import enabling_of
from vfioctl.actions.facts import guest_config, plugin_infos
from vfioctl.actions.firing import warnings
from vfioctl.actions.foretold import foretold
from vfioctl.actions.perform import perform
from vfioctl.events.domain import read_domain
from vfioctl.findings import Severity
from vfioctl.frozen import replace
from vfioctl.handoff.devices import wanted
from vfioctl.plugin.operations import OperationRequest
from vfioctl.result import Error, Message, Result, incomplete, refused

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vfioctl.actions.caller import Call
    from vfioctl.actions.domains import Found
    from vfioctl.events.model import Domain
    from vfioctl.handoff.devices import Wanted


def enable(call: Call, guest: str, xml: str | None = None, *, end_session: bool = False) -> Result:
    """Let vfioctl manage `guest`, whose domain is read from the file `xml`, else from libvirt.

    Raises Refused of `find` and of the configuration, and what `perform` raises; whoever agrees to the end of
    a session needs no `end_session`.
    """
    call.need_trust()
    found = find(call, guest, xml)
    plugins, host = plugin_infos(call), call.composition.machine().host()
    config = guest_config(call, guest, plugins)
    devices = wanted(found.domain, config, host)
    if errors := tuple(_blocks(devices)):
        return refused({}, errors)
    end = end_session or (config.session != "end" and agreed(call, guest, devices.devices, host))
    created = not os.path.lexists(call.paths.guest_config(guest))
    managed = hostdev_mode.managed_addresses(found.xml)
    new = hostdev_mode.set_managed(found.xml, "no", managed)
    done = perform(call, _request(call, found, new, end_session=bool(end)), quiet=True)
    if done.exit_status:
        return replace(done, data={**done.data, **_data(call, found, devices, Change()), "created": False})
    files.remove(kept_file(call.paths, guest))  # it is the guest's file again
    change = _change(call, found, new)
    data = {**done.data, **_data(call, found, devices, change), "created": created, "end_session": bool(end)}
    silent = (unasked(guest),) if end is None else ()
    errors = _not_changed(guest, change) if xml is None else ()
    said = (*done.messages, *_messages(call, found.domain, devices, change, from_file=bool(xml)), *silent)
    return incomplete(data, errors).saying(*said, *foretold(call, found.domain, plugins))


def _blocks(devices: Wanted) -> Iterator[Error]:
    for finding in devices.findings:
        if finding.severity is Severity.BLOCK:
            yield Error(finding.code, finding.message, NOTHING_CHANGED, (finding.hint,) if finding.hint else ())


def _request(call: Call, found: Found, new: bytes, *, end_session: bool) -> OperationRequest:
    """What `enable` writes, after the domain where libvirt-python gives it back: with the guest file the hook acts."""
    domain = found.domain
    before = hostdev_mode.before_of(call.paths, domain.uuid)
    addresses = (*before.addresses, *hostdev_mode.managed_addresses(found.xml))
    record = hostdev_mode.record(domain.name, addresses, before.equipped)
    made = enabling_of(call, read_domain(new), end_session=end_session, before=record)
    steps, contents = defining(call, found, new, made.steps, reason=f"{domain.name} gets managed='no'")
    return OperationRequest(
        plugin="core", operation="enable", subject=f"guest:{domain.name}", key=str(uuid.uuid4()), proposals=steps,
        contents={**made.contents, **contents},
    )  # fmt: skip


def _change(call: Call, found: Found, new: bytes) -> Change:
    """What became of the domain: a step has changed it, virsh does now, or somebody is to."""
    if found.way is Way.BINDING:
        diff = hostdev_mode.difference(found.xml, new, found.domain.name)
        return Change(diff, applied=bool(diff))
    return changed(call, found, new)


def _data(call: Call, found: Found, devices: Wanted, change: Change) -> dict[str, Any]:
    return {
        "guest": found.domain.name, "uuid": found.domain.uuid,
        "file": call.composition.paths.guest_config(found.domain.name),
        "devices": [{"address": device.address, "identity": device.identity} for device in devices.devices],
        "diff": change.diff, "applied": change.applied,
    }  # fmt: skip


def _not_changed(guest: str, change: Change) -> tuple[Error, ...]:
    """The domain ought to be changed, and nothing is there to do it."""
    if not change.diff or change.applied:
        return ()
    message = "The domain is not changed: neither virsh nor libvirt-python is there to do it."
    return (Error("libvirt.binding", message, f"{guest} is managed.", (by_hand(guest).hint,)),)


def _messages(call: Call, domain: Domain, devices: Wanted, change: Change, *, from_file: bool) -> tuple[Message, ...]:
    said = []
    if change.diff and not change.applied and from_file:
        said.append(by_hand(domain.name))
    if not devices.devices:
        said += no_device(domain, call.paths)
    return (*said, *warnings(call))
