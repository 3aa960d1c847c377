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
    from dataclasses import asdict

    from vfioctl.cli.result import incomplete
    from vfioctl.host.stuck import all_stuck

    app.need_root()
    paths, host = app.composition.paths, app.composition.machine().host()
    errors: list[Error] = []
    data = {
        "last": list(_outcomes(paths)),
        "hand_offs": list(_hand_offs(paths, host, errors)),
        "stuck": [asdict(device) for device in all_stuck(paths)],
        "cards": list(_cards(paths, host)),
    }
    return incomplete(NAME, data, tuple(errors))


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
    from vfioctl.cli.result import Error
    from vfioctl.errors import VfioctlError
    from vfioctl.txn.journal import open_uuids, read_both

    busy = {item.uuid: item.pid for item in running(paths)}
    for uuid in open_uuids(paths):
        try:
            story = read_both(paths, uuid)
        except VfioctlError as error:
            errors.append(Error(error.code, error.message, error.state, error.hints))
            continue
        if story:
            pid, qemu = busy.get(uuid), host.qemu_of(uuid)
            yield {
                "guest": story.plan.guest, "uuid": uuid, "standing": str(story.standing), "since": story.started,
                "devices": list(story.plan.devices), "process": pid, "qemu": qemu,
                "unfinished": pid is None and (qemu is None or story.standing != "given"),
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
