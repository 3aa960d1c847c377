"""How the verbs of a guest's life look on a terminal: lines made from the data and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from vfioctl.plugin import as_size, planned_steps
from vfioctl_guest.names import cpus_of

DONE = {
    "start": "is running", "stop": "is off", "reboot": "has restarted", "suspend": "is paused", "resume": "goes on",
    "save": "is off; its next start goes on from its saved memory", "discard-saved": "boots at its next start",
    "attach": "has it", "detach": "does not have it any more", "eject": "has an empty drive", "set": "is changed",
    "rename": "has its new name",
}  # fmt: skip
HEAD = f"{'CPU':>6}  {'MEMORY':>9}  {'READ/s':>9}  {'WRITTEN/s':>9}  {'REQ/s':>7}  {'RECEIVED/s':>10}  {'SENT/s':>9}"


def changed(data: Mapping[str, Any]) -> Iterator[str]:
    """What was done, or would be."""
    if data["dry_run"]:
        yield from planned_steps(data)
    elif data["operation"] and data["operation"]["ok"]:
        verb = data["operation"]["operation"].removeprefix("guest ")
        yield f"Guest {data['guest']} {DONE.get(verb, 'is changed')}."


def edited(data: Mapping[str, Any]) -> Iterator[str]:
    """The difference where it was only foretold; else that it is so."""
    if data["dry_run"] and data["diff"]:
        yield from data["diff"].splitlines()
    yield from changed(data)


def addresses(data: Mapping[str, Any]) -> Iterator[str]:
    """An address a line, with its card and who says so."""
    rows = data["addresses"]
    widest = max(len(row["address"]) for row in rows)
    for row in rows:
        yield f"{row['address']:<{widest}}  {row['mac']}  {row['source']}"


def screenshot(data: Mapping[str, Any]) -> Iterator[str]:
    """The file that was written."""
    yield f"What guest {data['guest']} shows is in {data['file']}."


def stats(data: Mapping[str, Any]) -> Iterator[str]:
    """One figure a line."""
    one = data["stats"]
    yield f"{one['guest']} on {one['node']}: {one['state']}"
    for name, value in _figures(one):
        yield f"  {name:<10} {value}"


def _figures(one: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    time, cpus = one["cpu_time"], one["cpus"]
    yield "processor", "-" if time is None else f"{time:.1f} s of {cpus_of(cpus)}"
    memory = [size(one["memory"])]
    memory += [f"{size(one['unused'])} unused"] if one["unused"] is not None else []
    memory += [f"{size(one['resident'])} of the host"] if one["resident"] is not None else []
    yield "memory", ", ".join(memory)
    read, written = size(one["disk_read"]), size(one["disk_written"])
    yield "disks", f"{read} read, {written} written, {one['disk_requests']} requests"
    yield "network", f"{size(one['received'])} received, {size(one['sent'])} sent"


def rates(before: Mapping[str, Any], now: Mapping[str, Any], seconds: float, *, head: bool) -> str:
    """What it used a second between two looks, as a line, below a head where that is due; 0 of what counts anew."""

    def rate(name: str) -> float:
        return max(0.0, ((now[name] or 0) - (before[name] or 0)) / seconds)

    line = (
        f"{100 * rate('cpu_time'):>5.0f}%  {size(now['memory']):>9}  {size(rate('disk_read')):>9}  "
        f"{size(rate('disk_written')):>9}  {rate('disk_requests'):>7.0f}  {size(rate('received')):>10}  "
        f"{size(rate('sent')):>9}"
    )
    return f"{HEAD}\n{line}" if head else line


def size(value: float | None) -> str:
    """Bytes for a person; "-" for what is not known."""
    return "-" if value is None else as_size(int(value))
