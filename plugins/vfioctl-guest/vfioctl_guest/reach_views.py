"""How the verbs that reach into a guest look on a terminal: lines made from the data and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


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
