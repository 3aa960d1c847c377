"""`vfioctl snapshot list` and `show`: what there is, whoever made it. Reads only."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from vfioctl.plugin import Message, Refused, Result, argument, guest_names, on_node, on_nodes
from vfioctl_snapshot import facts as graph
from vfioctl_snapshot.commands.work import Subject, seen, seen_all
from vfioctl_snapshot.known import mixed
from vfioctl_snapshot.look import ask, ask_if_there
from vfioctl_snapshot.names import NOTHING_CHANGED
from vfioctl_snapshot.record import EXTERNAL, Record

if TYPE_CHECKING:
    from vfioctl.plugin import Call
    from vfioctl_snapshot.facts import Facts

ONLY_ROOT = "Only what libvirt knows is shown; root sees the snapshots of vfioctl, and those inside the images."


@click.command("list")
@click.argument("guest", required=False, shell_complete=guest_names)
@on_nodes
@click.pass_obj
def listed(call: Call, guest: str | None, node: str, *, all_nodes: bool) -> Result:
    """List the snapshots of GUEST, or of every guest: those of vfioctl, of libvirt, and inside the images."""
    read = partial(ask_if_there if guest and all_nodes else ask, word=guest or "")
    answers = call.ask_nodes(read, node, all_nodes=all_nodes).then(partial(seen_all, call))
    subjects = [about for _, some in answers for about in some]
    result = answers.result("snapshots", lambda some: (row for about in some for row in _rows(about)))
    if guest and not (subjects or result.errors):
        raise Refused("guest.unknown", f"No node has a guest {guest!r}.", state=NOTHING_CHANGED)
    result = result.saying(*(message for about in subjects for message in _warnings(about)))
    return result if call.administers else result.saying(Message(ONLY_ROOT))


@click.command()
@click.argument("guest", shell_complete=guest_names)
@click.argument("name")
@on_node
@click.pass_obj
def show(call: Call, guest: str, name: str, node: str) -> Result:
    """Show the snapshot NAME of GUEST: each part of it, what lies below, and what would be lost with it."""
    about = seen(call, guest, node)
    record = about.named(name)
    row = _row(about, record, graph.current(about.facts))
    data = {**row, "disks": [_disk(about.facts, record, part) for part in record.disks],
            "nvram_copy": record.nvram, "tpm_copy": record.tpm, "skipped": dict(record.skipped), "uuid": record.uuid,
            "before": graph.parent(about.facts, record)}  # fmt: skip
    result = Result(data={"snapshot": data}).saying(*_warnings(about))
    return result if call.administers else result.saying(Message(ONLY_ROOT))


def _rows(about: Subject) -> Iterator[dict[str, Any]]:
    current = graph.current(about.facts)
    return (_row(about, record, current) for record in about.known)


def _row(about: Subject, record: Record, current: str) -> dict[str, Any]:
    return {
        "name": record.name, "guest": about.facts.name, "created": record.created, "origin": record.origin,
        "method": record.method, "state": record.state, "memory": record.memory,
        "disks": [part.target for part in record.disks], "nvram": bool(record.nvram), "tpm": bool(record.tpm),
        "current": record.name == current,
        "missing": list(graph.missing_parts(about.facts, record)) if about.files_seen else [],
    }  # fmt: skip


def _disk(facts: Facts, record: Record, part: Any) -> dict[str, Any]:
    image = facts.images.get(part.image)
    below = [path for path, _ in graph.chain(facts, part.image, part.format)[1:]] if record.method == EXTERNAL else []
    return {
        "target": part.target, "image": part.image, "format": part.format, "there": image is not None,
        "size": image.size if image else None, "used": image.used if image else None, "below": below,
        "above": sorted(graph.dependents(facts, part.image)),
    }  # fmt: skip


def _warnings(about: Subject) -> Iterator[Message]:
    guest = about.facts.name
    for name, why in about.facts.records.damaged.items():
        text = f"What is written down of snapshot {name!r} of guest {guest} cannot be used: {why}. Its images stay."
        yield Message(text, "warning", "snapshot.record_damaged")
    if mixed(about.known):
        text = f"Guest {guest} has internal and external snapshots side by side; that has cost people their data."
        hint = f"Delete those of one kind, one by one, beginning with: vfioctl snapshot show {argument(guest)} NAME"
        yield Message(text, "warning", "snapshot.mixed", hint)
