"""A share that never answers is named by what the verbs of pools, volumes and templates look at; none waits for it.

What does not answer was silent a moment ago: nobody asks it again (tests/security has a share that really is).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from vfioctl_storage.commands import pool_create, template_room, volume_work

from vfioctl.host.host import Host
from vfioctl.paths import Paths
from vfioctl.plugin import Pool, Refused
from vfioctl.proc import Programs
from vfioctl.virt.nodes import LOCAL


class Call:
    """A caller who is root, on a host whose directory `share` has just been silent."""

    administers = True

    def __init__(self, share: Path) -> None:
        self.paths = Paths("/")
        self._host = Host(self.paths, Programs(""))
        self._host.reach.silence(str(share / "any"))
        self._host.reach._doubtful = frozenset({str(share)})

    def host(self) -> Host:
        return self._host


def pool(path: str) -> Pool:
    return Pool("u", "fast", "dir", "active", persistent=True, autostart=True, path=path, source="", capacity=0,
                allocation=0, available=0, volumes=0, xml="")  # fmt: skip


LOOKS: dict[str, Callable[[Any, str], object]] = {
    "pool create": pool_create._real,
    "volume of a guest": lambda call, path: volume_work._is_same(call.host(), path, "/srv/x", local=True),
    "guest of a volume": lambda call, path: volume_work._is_same(call.host(), "/srv/x", path, local=True),
    "marks of a pool": lambda call, path: volume_work.is_marked(call, LOCAL, pool(path)),
    "room for templates": lambda call, path: template_room._new(
        call, LOCAL, pool(os.path.dirname(path)), marked=False
    ),
}


@pytest.mark.parametrize("look", LOOKS)
def test_what_does_not_answer_is_named(tmp_path: Path, look: str) -> None:
    with pytest.raises(Refused, match=str(tmp_path)) as caught:
        LOOKS[look](Call(tmp_path), str(tmp_path / "fast"))
    assert caught.value.code == "path.unanswered"
