"""`vfioctl status`: what went wrong last, what is under way, what is stuck, and the cards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from vfioctl.cli.render.guests import lacks
from vfioctl.cli.render.tables import Column, moment, table, words
from vfioctl.shell import argument

if TYPE_CHECKING:
    from rich.console import RenderableType

CARDS = (Column("device", 13), Column("", 30), Column("is", 22), Column("held by"))
STANDINGS = {
    "applying": "is being handed over", "given": "has its devices", "undoing": "is being undone",
    "returning": "is giving its devices back",
}  # fmt: skip


def view(data: Mapping[str, Any]) -> Iterator[RenderableType]:
    """Failures first, the rest of the last outcomes at the end."""
    failed = [last for last in data["last"] if not last["ok"]]
    yield from _lasts(failed)
    yield from _hand_offs(data["hand_offs"])
    yield from _operations(data.get("operations", ()))
    yield from _stuck(data["stuck"])
    yield from _guests(data.get("guests", ()))
    if devices := [*data["cards"], *data.get("devices", ())]:
        yield table(CARDS, (_card(device) for device in devices))
    elif not data.get("guest"):
        yield "This host has no graphics card."
    good = [last for last in data["last"] if last["ok"]]
    if good:
        yield ""
    yield from _lasts(good)


def _lasts(lasts: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for last in lasts:
        mark = "" if last["ok"] else "FAILED: "
        code = f" [{last['code']}]" if last["code"] else ""
        yield f"{mark}{last['event']} of {last['guest']} at {moment(last['when'])}: {last['message'] or 'done'}{code}"
        yield from (f"  {line}" for line in (last["state"], *last["hints"]) if line)
        if last["hand_off"]:
            yield f"  Where its time went: vfioctl history {last['hand_off']}"
    if lasts and not lasts[0]["ok"]:
        yield ""


def _hand_offs(items: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for item in items:
        yield from _hand_off(item)
    if items:
        yield ""


def _hand_off(item: Mapping[str, Any]) -> Iterator[str]:
    guest, since, devices = item["guest"], moment(item["since"]), words(item["devices"], "no device")
    recover = f"vfioctl recover {argument(guest)}"
    if item.get("undone_by_sh"):
        yield f"{guest} was given {devices} at {since}; undo.sh has undone it. Close its journal with: {recover}"
        return
    by = f", process {item['process']}" if item["process"] else ""
    yield f"{guest} {STANDINGS.get(item['standing'], item['standing'])} since {since}{by}: {devices}"
    if item["unfinished"]:
        yield f"  UNFINISHED, and nobody works on it. Finish it with: {recover}"


def _operations(items: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for item in items:
        by = f", process {item['process']}" if item["process"] else ""
        yield f"{item['operation']} {item['subject']}: {item['standing']} since {moment(item['since'])}{by}"
        if item["unfinished"]:
            yield "  UNFINISHED, and nobody works on it. End it with: vfioctl recover"
        else:
            yield f"  Follow it with: vfioctl operation follow {item['key']}"
    if items:
        yield ""


def _guests(guests: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Those of which nothing was said yet: no hand-off of them is open."""
    for guest in guests:
        if guest["since"] is None:
            nothing = ", and was given nothing" if guest["given"] is False else ""
            running = f"runs (process {guest['process']}){nothing}" if guest["process"] else "is off"
            gets = f"; it gets {words(guest['gets'])} when it starts" if guest["gets"] and not guest["process"] else ""
            yield f"{guest['guest']} {running}{gets}"
            yield from lacks(guest)
    if any(guest["since"] is None for guest in guests):
        yield ""


def _stuck(items: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for item in items:
        what = f"writing {item['value'].strip()!r} to {item['path']}"
        yield f"STUCK: {item['address']}: process {item['pid']} waits in the kernel {what}"
        yield "  Nothing is written to it. End what uses the device; when that does not help, reboot."
        yield "  A reboot or power-off may wait for it without end: then `sync`, and s, u, b into /proc/sysrq-trigger."
    if items:
        yield ""


def _card(card: Mapping[str, Any]) -> tuple[object, ...]:
    where = f"given to {card['guest']}" if card["guest"] else card["driver"] or "without driver"
    held = words((f"{item['process']} ({item['pid']})" for item in card["holders"]), "nobody")
    return (card["address"], card["name"], "stuck" if card["stuck"] else where, held)
