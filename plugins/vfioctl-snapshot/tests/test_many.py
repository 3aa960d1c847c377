"""Many paths are looked at in few children, and what hangs is named."""

from __future__ import annotations

import os
import time

import pytest
from vfioctl_snapshot.many import AT_ONCE, each

from vfioctl import reach
from vfioctl.errors import Refused

SHORT = 0.3  # seconds that a child has


@pytest.fixture
def host(bench):
    return bench.request().host


@pytest.fixture
def children(host, monkeypatch):
    """A file system at /images and one at /silent, both of which may hang; one entry for each child that has looked."""
    counted = []
    real = reach.in_child

    def counting(work, *, deadline):
        counted.append(work)
        return real(work, deadline=min(deadline, SHORT))

    monkeypatch.setattr(reach, "in_child", counting)
    host.reach._doubtful = dict.fromkeys(map(host.paths.at, ("/images", "/silent")), "nfs4")
    return counted


def there(place: str) -> bool | None:
    return os.path.exists(place) or None


def test_what_a_look_says_nothing_of_is_left_out_and_the_order_kept(bench, host):
    for name in ("b", "a", "c"):
        bench.image(name)
    wanted = ["/images/c", "", "/gone/x", "/images/a", "/images/gone", "/images/b", "/images/c"]
    assert list(each(host, wanted, there)) == ["/images/c", "/images/a", "/images/b"]


def test_one_child_looks_at_many_paths_of_a_file_system(host, children):
    assert each(host, [f"/images/{number}" for number in range(AT_ONCE)], there) == {}
    assert len(children) == 1
    each(host, [f"/images/{number % 7}/{number}" for number in range(AT_ONCE + 1)], there)
    assert len(children) == 3


def test_a_file_system_that_hangs_is_named_and_no_other_one(bench, host, children):
    bench.image("a")

    def look(place: str) -> bool:
        if "/silent/" in place:
            time.sleep(2)
        return True

    with pytest.raises(Refused, match="/silent/x") as caught:
        each(host, ["/images/a", "/silent/x"], look)
    assert caught.value.code == "path.unanswered"
    assert len(children) == 2
    assert not host.reach.is_silent(bench.paths.at("images/b"))
