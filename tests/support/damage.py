"""A journal as a power cut, a full disk, a bug or somebody's hand may leave it: each kind of damage by its name."""

from __future__ import annotations

import json
import os
import random
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from txn_builders import plan, step

from vfioctl.paths import Paths
from vfioctl.txn.journal import Journal

HURT, HURT_UUID = "linux", "99999999-2222-3333-4444-555555555555"  # the guest whose journal is damaged
CARD = "0000:02:00.0"
BIND = {
    "kind": "driver.bind", "params": {"address": CARD, "driver": "vfio-pci"}, "resource": f"pci:{CARD}",
    "baseline": {"driver": "igb", "modules": []},
}  # fmt: skip
Damage = Callable[[Path], object]
MEGABYTE = 1 << 20


def journal_of(paths: Paths, guest: str = HURT, uuid: str = HURT_UUID) -> Path:
    """The journal of a hand-off of this boot that is whole; where it lies."""
    boot = Path(paths.proc, "sys/kernel/random/boot_id").read_text().strip()
    made = plan(step("a"), step("bind", **BIND), guest=guest, uuid=uuid, devices=(CARD,))
    with Journal(paths, uuid) as journal:
        journal.begin(made, boot)
    os.unlink(paths.disk_journal(uuid))
    return Path(paths.boot_journal(uuid))


def header(change: Callable[[dict[str, Any]], object]) -> Damage:
    """Another header, changed by `change`; the file is well-formed."""

    def damage(path: Path) -> None:
        head = json.loads(path.read_text().partition("\n")[0])
        change(head)
        path.write_text(json.dumps(head) + "\n")

    return damage


def in_plan(**values: Any) -> Damage:
    return header(lambda head: head["plan"].update(values))


def in_notes(**values: Any) -> Damage:
    return header(lambda head: head["plan"]["notes"].update(values))


def in_step(**values: Any) -> Damage:
    return header(lambda head: head["plan"]["steps"][0].update(values))


def instead(data: bytes) -> Damage:
    return lambda path: path.write_bytes(data)


def other(make: Callable[[Path], object]) -> Damage:
    """Something else than a file in its place."""

    def damage(path: Path) -> None:
        os.rename(path, f"{path}.before")
        make(path)

    return damage


def _socket(path: Path) -> None:
    here = os.getcwd()
    os.chdir(path.parent)  # its name is too long for the whole path (unix(7))
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(here)


KINDS: dict[str, Damage] = {
    "empty": instead(b""),
    "only a line break": instead(b"\n"),
    "zeros": lambda path: path.write_bytes(b"\0" * path.stat().st_size),
    "zeros before the plan": lambda path: path.write_bytes(b"\0" * 64 + path.read_bytes()[64:]),
    "torn header": lambda path: os.truncate(path, path.stat().st_size // 2),
    "header of a byte less": lambda path: os.truncate(path, path.stat().st_size - 2),
    "a list": instead(b"[]\n"),
    "null": instead(b"null\n"),
    "a number": instead(b"17\n"),
    "a text": instead(b'"plan"\n'),
    "no UTF-8": instead(b'{"plan": "\xff\xfe"}\n'),
    "UTF-16": lambda path: path.write_text(path.read_text(), encoding="utf-16"),
    "too deep": instead(b"[" * 100_000 + b"\n"),
    "one line of 20 MB": instead(b"x" * 20 * MEGABYTE),
    "no plan": header(lambda head: head.pop("plan")),
    "plan is a list": header(lambda head: head.update(plan=[])),
    "no schema": header(lambda head: head["plan"].pop("schema")),
    "newer schema": in_plan(schema=99),
    "schema is a text": in_plan(schema="2"),
    "an earlier schema than it is": in_plan(schema=2),
    "notes are a list": in_plan(notes=[1]),
    "operation is a list": in_plan(operation=[]),
    "a strange way to end": in_plan(unfinished="explode"),
    "no boot id": header(lambda head: head.pop("boot_id")),
    "boot id is a number": header(lambda head: head.update(boot_id=5)),
    "time is a text": header(lambda head: head.update(started="yesterday")),
    "time is no number": header(lambda head: head.update(started=float("nan"))),
    "time is beyond all time": header(lambda head: head.update(started=10**400)),
    "extra is a list": header(lambda head: head.update(extra=[1])),
    "guest is a number": in_plan(subject=7),
    "guest is a path": in_plan(subject="../../../../x"),
    "guest is a directory": in_plan(subject=".."),
    "guest has a NUL": in_plan(subject="a\0b"),
    "guest has a line break": in_plan(subject="a\nb"),
    "guest is too long": in_plan(subject="g" * 300),
    "of another guest": in_plan(key="11111111-2222-3333-4444-000000000000"),
    "uuid is a path": in_plan(key="../../x"),
    "devices are a text": in_notes(devices="0000:01:00.0"),
    "a device is none": in_notes(devices=["../0000:01:00.0"]),
    "steps are a number": in_plan(steps=3),
    "a step is a list": in_plan(steps=[[]]),
    "way back to nowhere": in_plan(way_back=[{"step": "nobody", "action": "undo", "part": "hook"}]),
    "way back of a strange action": in_plan(way_back=[{"step": "a", "action": "explode", "part": "hook"}]),
    "budget is a text": in_plan(limits={"prepare": "long"}),
    "budget is endless": in_plan(limits={"finish": float("inf")}),
    "budget is below zero": in_plan(limits={"release": -1}),
    "a strange condition": in_plan(proof=[{"kind": "moon.full", "args": {}}]),
    "a condition of another place": in_plan(proof=[{"kind": "path.exists", "args": {"path": "../x"}}]),
    "parameters are a list": in_notes(parameters=[1]),
    "two steps of one id": header(lambda head: head["plan"]["steps"].append(head["plan"]["steps"][0])),
    "step without id": header(lambda head: head["plan"]["steps"][0].pop("id")),
    "id is a list": in_step(id=["a"]),
    "unknown kind": in_step(kind="../../os"),
    "kind is an object": in_step(kind={}),
    "params are a list": in_step(params=[]),
    "params are empty": in_step(params={}),
    "baseline is null": in_step(baseline=None),
    "baseline is empty": in_step(baseline={}),
    "deadline is a text": in_step(deadline="soon"),
    "resource is a number": in_step(resource=1),
    "touches are numbers": in_step(touches=[1]),
    "a strange release": in_step(releases=[{"moon": 1}]),
    "sysfs.write elsewhere": in_step(params={"path": "/etc/victim", "value": "x"}),
    "sysfs.write upwards": in_step(params={"path": "/sys/../etc/victim", "value": "x"}),
    "directory": other(lambda path: path.mkdir()),
    "directory that is full": other(lambda path: (path / "x").mkdir(parents=True)),
    "pipe": other(os.mkfifo),
    "socket": other(_socket),
    "link to a journal": other(lambda path: path.symlink_to(f"{path}.before")),
    "link to nothing": other(lambda path: path.symlink_to("/nowhere")),
    "link to itself": other(lambda path: path.symlink_to(path)),
    "device": other(lambda path: os.mknod(path, 0o020600, os.makedev(1, 5))),
}  # fmt: skip


# Read differently: not at all, not whole, not as ours, not as a plan, not as a step, not as a file.
EACH_TIME = ("empty", "torn header", "newer schema", "guest is a path", "params are empty", "pipe", "link to itself")

ANYTHING = (
    None, True, -1, 10**400, float("nan"), "", "/etc/victim", "../x", "a\0b", "\ud800", "x" * 3000, [], [None], {},
    {"a": 1}, "driver.bind", "disk", "undo",
)  # fmt: skip


def mutated(text: str, luck: random.Random) -> bytes:
    """The journal `text` with some of its values exchanged, or some of its bytes."""
    header, _, rest = text.partition("\n")
    if luck.random() < 0.7:
        head = json.loads(header)
        for _ in range(luck.choice((1, 1, 3))):
            owner, key = luck.choice([*_places(head)])
            owner[key] = luck.choice(ANYTHING)
        return f"{json.dumps(head)}\n{rest}".encode()
    data = bytearray(text.encode())
    at = luck.randrange(len(data))
    data[at : at + luck.choice((0, 1, 300))] = luck.randbytes(luck.choice((0, 1, 300)))
    return bytes(data)


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Each place in nested JSON: the list or object, and the index or key in it."""
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield value, key
        yield from _places(value[key])

