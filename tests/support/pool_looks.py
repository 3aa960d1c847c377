"""The looks of the storage plugin at files of pools, as a caller who is root takes them, for shares that are silent."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

from vfioctl.host.host import Host
from vfioctl.paths import Paths
from vfioctl.proc import Programs
from vfioctl.virt.nodes import LOCAL
from vfioctl.virt.pools import Pool

pytest.importorskip("vfioctl_storage.commands")
from vfioctl_storage.commands import pool_create, template_room, volume_work


class Call:
    """A caller who is root on this machine."""

    administers = True
    paths = Paths("/")

    def __init__(self) -> None:
        self._host = Host(self.paths, Programs(""))

    def host(self) -> Host:
        return self._host


def pool(path: str) -> Pool:
    return Pool("u", "fast", "dir", "active", persistent=True, autostart=True, path=path, source="", capacity=0,
                allocation=0, available=0, volumes=0, xml="")  # fmt: skip


def _is_same(call: Any, one: str, other: str) -> bool:
    return volume_work._is_same(call.host(), one, other, local=True)


# By what is looked for; each is given the caller and a path on the share.
LOOKS: dict[str, Callable[[Any, str], object]] = {
    "pool create": pool_create._real,
    "volume of a guest": lambda call, path: _is_same(call, path, "/srv/x"),
    "guest of a volume": lambda call, path: _is_same(call, __file__, path),
    "marks of a pool": lambda call, path: volume_work.is_marked(call, LOCAL, pool(path)),
    "room for templates": lambda call, path: template_room._new(
        call, LOCAL, pool(os.path.dirname(path)), marked=False
    ),
}
