"""A pool on a share whose server is gone holds none of the verbs that look at its files."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from silent import needs_fuse, silent

from vfioctl.errors import Refused
from vfioctl.host.host import Host
from vfioctl.paths import Paths
from vfioctl.proc import Programs
from vfioctl.virt.nodes import LOCAL
from vfioctl.virt.pools import Pool

pytest.importorskip("vfioctl_storage.commands")
from vfioctl_storage.commands import pool_create, template_room, volume_work

pytestmark = [needs_fuse, pytest.mark.usefixtures("alone")]
LIMIT = 25.0  # seconds: a look has 10


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


LOOKS: dict[str, Callable[[Any, str], object]] = {
    "pool create": lambda call, share: pool_create._real(call, f"{share}/link/fast"),
    "volume of a guest": lambda call, share: volume_work._is_same(call.host(), f"{share}/a", "/srv/x", local=True),
    "guest of a volume": lambda call, share: volume_work._is_same(call.host(), __file__, f"{share}/a", local=True),
    "marks of a pool": lambda call, share: volume_work.is_marked(call, LOCAL, pool(f"{share}/fast")),
    "room for templates": lambda call, share: template_room._new(call, LOCAL, pool(share), marked=False),
}


@pytest.mark.parametrize("look", LOOKS)
def test_a_look_at_a_share_that_is_silent_ends_and_names_it(place: Path, look: str) -> None:
    os.mkdir(place / "share")
    with silent(place / "share") as share:
        began = time.monotonic()
        with pytest.raises(Refused, match=share) as caught:
            LOOKS[look](Call(), share)
        assert caught.value.code == "path.unanswered"
        assert time.monotonic() - began < LIMIT
