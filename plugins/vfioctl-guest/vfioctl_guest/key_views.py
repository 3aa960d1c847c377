"""How the verbs of SSH keys look on a terminal: lines made from the data and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from vfioctl.plugin import Table, planned_steps

DONE = {"create": "is made", "import": "is kept", "delete": "is deleted"}
ENCRYPTED = {True: "with a passphrase", False: "without a passphrase", None: "-"}


def changed(data: Mapping[str, Any]) -> Iterator[str]:
    """What was done, or would be."""
    if data["dry_run"]:
        yield from planned_steps(data)
    elif data["operation"]["ok"]:
        verb = data["operation"]["operation"].removeprefix("ssh-key ")
        yield f"The SSH key {data['key']['name']} {DONE[verb]}: {data['key']['fingerprint'] or '-'}"


def listed(data: Mapping[str, Any]) -> Iterator[Table]:
    """A key a line."""
    rows = (
        (one["name"], one["type"], one["fingerprint"], "yes" if one["private"] else "no") for one in data["keys"]
    )
    yield Table(("name", "type", "fingerprint", "private"), tuple(rows))


def shown(data: Mapping[str, Any]) -> Iterator[str]:
    """One fact a line, and the public half."""
    one = data["key"]
    yield f"{one['name']}: {one['type']}, {one['bits']} bits"
    yield f"  fingerprint  {one['fingerprint']}"
    yield f"  comment      {one['comment'] or '-'}"
    yield f"  private      {one['file'] if one['private'] else '-'}"
    yield f"  encrypted    {ENCRYPTED[one['encrypted']]}"
    yield one["public"]
