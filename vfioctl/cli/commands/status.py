"""`vfioctl status`: last outcomes, what is under way or unfinished, where each card is. Reads our own state first.

Never asks libvirt: while a hook runs it would answer nobody.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from vfioctl.cli.options import verb

if TYPE_CHECKING:
    from vfioctl.cli.app import App
    from vfioctl.cli.result import Error, Result
    from vfioctl.errors import VfioctlError
    from vfioctl.host.host import Host
    from vfioctl.paths import Paths

NAME = "status"


@verb(NAME)
@click.pass_obj
def command(app: App) -> Result:
    """Show which card is where, held by whom, and what is unfinished.

    Failures of the last hand-offs come first.
    It answers also while a hand-off runs and when a device is stuck in the kernel.
    """
    from vfioctl.cli.result import incomplete

    app.need_root()
    paths, host = app.composition.paths, app.composition.machine().host()
    errors: list[Error] = []
    data = {
        "last": _each(_outcomes(paths), errors),
        "hand_offs": _each(_hand_offs(paths, host, errors), errors),
        "stuck": _each(_stuck(paths), errors),
        "cards": _each(_cards(paths, host), errors),
    }
    return incomplete(NAME, data, tuple(dict.fromkeys(errors)))


def _each(rows: Iterator[dict[str, Any]], errors: list[Error]) -> list[dict[str, Any]]:
    """The rows as far as they can be read: one damaged record must not hide the rest of the host."""
    from vfioctl.errors import VfioctlError

    found = []
    try:
        for row in rows:
            found.append(row)
    except VfioctlError as error:
        errors.append(_shown(error))
    return found


def _shown(error: VfioctlError) -> Error:
    from vfioctl.cli.result import Error

    return Error(error.code, error.message, error.state, error.hints)


def _stuck(paths: Paths) -> Iterator[dict[str, Any]]:
    from dataclasses import asdict

    from vfioctl.host.stuck import all_stuck

    for device in all_stuck(paths):
        yield asdict(device)


def _outcomes(paths: Paths) -> Iterator[dict[str, Any]]:
    """The last outcome of each guest: failures first, then the newest."""
    from dataclasses import asdict

    from vfioctl.history import read_last

    try:
        names = os.listdir(os.path.dirname(paths.last("x")))
    except FileNotFoundError:
        return
    found = (read_last(paths, name.removesuffix(".json")) for name in names if name.endswith(".json"))
    for last in sorted(filter(None, found), key=lambda last: (last.ok, -last.when)):
        yield asdict(last)


def _hand_offs(paths: Paths, host: Host, errors: list[Error]) -> Iterator[dict[str, Any]]:
    """Every open journal, with the process that works on it."""
    from vfioctl.cli.facts import running
    from vfioctl.errors import VfioctlError
    from vfioctl.handoff.recovery import starting
    from vfioctl.txn.journal import open_uuids, read_both

    busy = {item.uuid: item.pid for item in running(paths)}
    for uuid in open_uuids(paths):
        try:
            story = read_both(paths, uuid)
        except VfioctlError as error:
            errors.append(_shown(error))
            continue
        if story:
            pid, qemu = busy.get(uuid), host.qemu_of(uuid)
            yield {
                "guest": story.plan.guest, "uuid": uuid, "standing": str(story.standing), "since": story.started,
                "devices": list(story.plan.devices), "process": pid, "qemu": qemu,
                "unfinished": not (pid or starting(paths, story)) and (qemu is None or story.standing != "given"),
                "version": story.version,
            }  # fmt: skip


def _cards(paths: Paths, host: Host) -> Iterator[dict[str, Any]]:
    """Every card with its driver, the guest that has it, and who holds it."""
    from vfioctl.cli.facts import owners
    from vfioctl.cli.names import names

    cards = [device for device in host.devices() if device.is_display]
    known, given = names(paths, cards), owners(paths)
    for card in cards:
        holders = () if card.stuck else host.holders((card.address,))
        yield {
            "address": card.address, "name": known[card.address], "driver": card.driver, "stuck": card.stuck,
            "guest": given.get(card.address), "boot_vga": bool(card.boot_vga),
            "holders": [{"pid": item.pid, "process": item.comm} for item in holders],
        }  # fmt: skip
