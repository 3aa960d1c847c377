"""How the verbs that reach into a guest look on a terminal: lines made from the data and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from vfioctl.plugin import Table, as_size


def console(data: Mapping[str, Any]) -> Iterator[str]:
    """What a terminal opens."""
    yield f"The console of guest {data['guest']} on {data['node']} is {data['console']['device']}."


def display(data: Mapping[str, Any]) -> Iterator[str]:
    """Where the display is, and what leads there from here."""
    one = data["display"]
    yield f"The display of guest {data['guest']} is {one['kind']} at {one['socket'] or one['address']}."
    if one["tunnel"]:
        yield f"It listens on the loopback of {data['node']} alone. First: {one['tunnel']}"


def login(data: Mapping[str, Any]) -> Iterator[str]:
    """Where ssh goes."""
    yield f"Guest {data['guest']} is reached at {data['address']}, as its {data['source']} says."


def ran(data: Mapping[str, Any]) -> Iterator[str]:
    """What a program said: its output, then what it complained of."""
    for said in (data["stdout"], data["stderr"]):
        yield from said.splitlines()


def copied(data: Mapping[str, Any]) -> Iterator[str]:
    """What was copied, whereto, and its checksum."""
    there = f"{data['guest']}:{data['path']}"
    source, target = (data["file"], there) if data["direction"] == "in" else (there, data["file"])
    done = "would be" if data["dry_run"] else "was"
    yield f"{source} {done} copied to {target} by {data['by']}: {as_size(data['bytes'])}, mode {data['mode']}."
    if data["sha256"]:
        yield f"sha256 {data['sha256']}"


def passwd(data: Mapping[str, Any]) -> Iterator[str]:
    """Whose password it is."""
    yield f"User {data['user']} of guest {data['guest']} has the new password."


def keys(data: Mapping[str, Any]) -> Iterator[Table]:
    """The keys of a user, or those that a change was about."""
    named = ("type", "fingerprint", "comment", "options")
    yield Table(named, tuple(tuple(row[name] or "-" for name in named) for row in data["keys"]))


def added(data: Mapping[str, Any]) -> Iterator[str]:
    """The keys that are there now."""
    yield from (f"User {data['user']} of guest {data['guest']} has {_called(row)}." for row in data["keys"])


def removed(data: Mapping[str, Any]) -> Iterator[str]:
    """The keys that are gone."""
    for row in data["keys"]:
        yield f"User {data['user']} of guest {data['guest']} does not have {_called(row)} any more."


def _called(row: Mapping[str, str]) -> str:
    return f"{row['fingerprint']} ({row['comment'] or row['type']})"
