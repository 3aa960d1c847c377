"""`vfioctl enable GUEST`: writes the guest file, pins the cards' identities, and sets managed='no' in the domain."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import click

from vfioctl.cli.types import GUEST, xml_option
from vfioctl.frozen import frozen
from vfioctl.shell import argument

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from vfioctl.cli.app import App
    from vfioctl.cli.domains import Found
    from vfioctl.cli.result import Error, Message, Result
    from vfioctl.handoff.devices import Wanted
    from vfioctl.host.host import Host
    from vfioctl.plugin.types import PluginInfo


@frozen
class Change:
    """The domain's XML as it should be: `diff` is empty when it is so already, `applied` when libvirt took it."""

    diff: str
    applied: bool


@click.command()
@click.argument("guest", type=GUEST)
@xml_option
@click.option("--end-session", is_flag=True, help="A logged-in user's session may be ended; its open windows are lost.")
@click.pass_obj
def command(app: App, guest: str, xml: str | None, end_session: bool) -> Result:  # noqa: FBT001 -- click's signature
    """Let vfioctl manage a guest.

    Writes its file in /etc/vfioctl/guests, pins which cards it may get, and sets managed='no' in the domain, so that
    libvirt does not unbind a held card when the hook does not fire. libvirt-python changes the domain, else virsh; the
    definition as it was is kept. With --xml the change is only shown, for `virsh edit`. What is there already is kept.

    Where a session is on the card, a start is refused until the guest file says session = "end". Then it ends right
    after its user was told, and what is not saved is lost; nothing brings it back.
    """
    from vfioctl.cli.domains import find
    from vfioctl.cli.facts import guest_config, plugin_infos
    from vfioctl.cli.foretold import foretold
    from vfioctl.cli.result import incomplete, refused
    from vfioctl.handoff.devices import wanted

    app.need_trust()
    found = find(app, guest, xml)
    plugins = plugin_infos(app)
    host = app.composition.machine().host()
    devices = wanted(found.domain, guest_config(app, guest, plugins), host)
    if errors := tuple(_blocks(devices)):
        return refused({}, errors)
    end = end_session or _asked(app, guest, devices, host)
    created = _write_file(app, guest, plugins, end_session=end)
    _pin(app, found, devices)
    change = _set_managed(app, found)
    data = {**_data(app, found, devices, change), "created": created, "end_session": end}
    errors = _not_changed(guest, change) if xml is None else ()
    said = (*_messages(app, found, devices, change, from_file=bool(xml)), *foretold(app, found.domain, plugins))
    return incomplete(data, errors).saying(*said)


def _not_changed(guest: str, change: Change) -> tuple[Error, ...]:
    """The domain ought to be changed, and nothing is there to do it."""
    from vfioctl.cli.result import Error

    if not change.diff or change.applied:
        return ()
    message = "The domain is not changed: neither virsh nor libvirt-python is there to do it."
    return (Error("libvirt.binding", message, f"{guest} is managed.", (by_hand(guest).hint,)),)


def _blocks(devices: Wanted) -> Iterator[Error]:
    from vfioctl.cli.result import Error
    from vfioctl.findings import Severity

    for finding in devices.findings:
        if finding.severity is Severity.BLOCK:
            yield Error(finding.code, finding.message, "Nothing was changed.", (finding.hint,) if finding.hint else ())


def _asked(app: App, guest: str, devices: Wanted, host: Host) -> bool:
    """Ask only somebody who is there, and only when a card is given while people can log in at a seat."""
    if app.format != "text" or not (sys.stdin.isatty() and sys.stdout.isatty()):
        return False
    if not any(device.is_card and device.driver for device in devices.devices):
        return False
    if not any(session.seat and session.klass == "user" for session in host.sessions()):
        return False
    question = f"May the session of a logged-in user be ended when {guest} starts? What is not saved is lost."
    return click.confirm(question, default=False)


def _write_file(app: App, guest: str, plugins: Mapping[str, PluginInfo], *, end_session: bool) -> bool:
    """The guest file, as `disable` kept it or new; whether it was not there before."""
    from vfioctl import files
    from vfioctl.config.edit import create_guest, set_setting

    paths = app.composition.paths
    file, kept = paths.guest_config(guest), kept_file(app, guest)
    created = not os.path.lexists(file)
    if created and create_guest(paths, guest) and (text := files.read_text(kept)):
        files.atomic_write(file, text, mode=0o644)
        files.remove(kept)
    if end_session:
        set_setting(paths, guest, "session", "end", plugins)
    return created


def kept_file(app: App, guest: str) -> str:
    """Where `disable` keeps a guest's file."""
    return os.path.join(app.composition.paths.state, "disabled", f"{guest}.toml")


def _pin(app: App, found: Found, devices: Wanted) -> None:
    from vfioctl.handoff import identity

    if devices.devices:
        identity.pin(app.composition.paths, found.domain.uuid, found.domain.name, devices.devices)


def _set_managed(app: App, found: Found) -> Change:
    from vfioctl.cli import managed
    from vfioctl.cli.define import define

    addresses = managed.managed_addresses(found.xml)
    managed.remember(app.composition.paths, found.domain.uuid, found.domain.name, addresses)
    wanted = managed.set_managed(found.xml, "no", addresses)
    diff = managed.difference(found.xml, wanted, found.domain.name)
    if diff and found.editable:
        define(app, found, wanted)
    return Change(diff, applied=bool(diff) and found.editable)


def _data(app: App, found: Found, devices: Wanted, change: Change) -> dict[str, Any]:
    return {
        "guest": found.domain.name, "uuid": found.domain.uuid,
        "file": app.composition.paths.guest_config(found.domain.name),
        "devices": [{"address": device.address, "identity": device.identity} for device in devices.devices],
        "diff": change.diff, "applied": change.applied,
    }  # fmt: skip


def _messages(app: App, found: Found, devices: Wanted, change: Change, *, from_file: bool) -> tuple[Message, ...]:
    from vfioctl.cli.firing import warnings

    said = []
    if change.diff and not change.applied and from_file:
        said.append(by_hand(found.domain.name))
    if not devices.devices:
        said.append(no_device(found.domain.name))
    return (*said, *warnings(app))


def no_device(guest: str) -> Message:
    """The commonest omission of a beginner: the card was never added to the guest."""
    from vfioctl.cli.result import Message

    text = f"{guest} has no PCI device, so nothing is handed over when it starts."
    hint = f"Add the card in virt-manager (Add Hardware, PCI Host Device), then: vfioctl enable {argument(guest)}"
    return Message(text, "warning", "guest.no_device", hint)


def by_hand(guest: str) -> Message:
    """What to do when libvirt's own definition was not changed."""
    from vfioctl.cli.result import Message

    text = "The domain of libvirt is not changed: it was not read from there."
    return Message(text, "warning", "libvirt.binding", f"Make the change shown with: virsh edit {argument(guest)}")
