"""How the verbs that reach into a guest look on a terminal: lines made from the data and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def console(data: Mapping[str, Any]) -> Iterator[str]:
    """What a terminal opens."""
    yield f"The console of guest {data['guest']} on {data['node']} is {data['console']['device']}."
