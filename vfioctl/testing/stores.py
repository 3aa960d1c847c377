"""The files in which Docker and Podman keep their containers, as far as anybody but themselves reads them."""

from __future__ import annotations

import json
from collections.abc import Iterator

from vfioctl.testing.model import FakeContainer, MachineSpec


def stores(spec: MachineSpec) -> Iterator[tuple[str, str]]:
    """Path below the root and text of each file."""
    homes = {int(uid): f"home/{name}/.local/share" for uid, name in spec.users}
    podmans: dict[str, list[FakeContainer]] = {}
    for one in spec.containers:
        own = None if one.uid is None else homes[one.uid]
        if one.tool == "docker":
            place = f"{f'{own}/docker' if own else 'var/lib/docker'}/containers/{one.id}"
            yield f"{place}/config.v2.json", _docker(one)
            yield f"{place}/hostconfig.json", json.dumps({"AutoRemove": one.auto_remove})
        else:
            podmans.setdefault(f"{own}/containers/storage" if own else "var/lib/containers/storage", []).append(one)
    for root, containers in podmans.items():
        rows = [{"id": one.id, "names": [one.name], "image": "0" * 64, "layer": "0" * 64} for one in containers]
        yield f"{root}/overlay-containers/containers.json", json.dumps(rows)


def _docker(one: FakeContainer) -> str:
    """Docker 20: the name begins with a slash."""
    state = {"Running": one.running, "Pid": 4711 if one.running else 0}
    return json.dumps({"ID": one.id, "Name": f"/{one.name}", "State": state, "Config": {"Labels": dict(one.labels)}})
