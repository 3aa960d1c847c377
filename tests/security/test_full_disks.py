"""/run and /var that are full or read-only: a start is refused in words, a card comes home."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hand_offs import BY_NAME, Stage

from vfioctl.testing.host import FakeHost

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
KINDS = {"bytes": "size=512k", "inodes": "size=8m,nr_inodes=400", "read-only": "size=8m"}
Spoil = Callable[[], None]


@pytest.fixture(params=["generic", "snapshot"])
def stage(place: Path, request: pytest.FixtureRequest) -> Iterator[Stage]:
    with FakeHost(BY_NAME[request.param].machine(), place) as host:
        yield Stage(BY_NAME[request.param], host)


@pytest.fixture
def mount(stage: Stage) -> Iterator[Callable[[str, str], Spoil]]:
    """Gives a directory below the root a file system of its own, with what is in it, and returns what fills that."""
    mounted: list[str] = []

    def make(place: str, kind: str) -> Spoil:
        path = os.path.join(stage.root, place)
        os.makedirs(path, exist_ok=True)
        kept = subprocess.run(["tar", "-C", path, "-cf", "-", "."], capture_output=True, check=True).stdout
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"mode=755,{KINDS[kind]}", "tmpfs", path], check=True)
        mounted.append(path)
        subprocess.run(["tar", "-C", path, "-xf", "-"], input=kept, check=True)
        return lambda: spoil(path, kind)

    yield make
    for path in reversed(mounted):
        subprocess.run(["umount", "--lazy", path], check=True)


def spoil(path: str, kind: str) -> None:
    if kind == "read-only":
        subprocess.run(["mount", "-o", "remount,ro", path], check=True)
        return
    with suppress(OSError):
        for number in range(1_000):
            Path(path, f"filler-{number}").write_bytes(b"x" * 4096 * (kind == "bytes"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "where", ["run", "run/vfioctl", "run/vfioctl/locks", "run/vfioctl/journal", "run/vfioctl/guests", "var/lib/vfioctl"]
)
def test_a_start_without_room_is_refused_in_words_with_nothing_touched(stage: Stage, mount, where: str, kind: str):
    if (where, kind) == ("run/vfioctl/locks", "bytes"):
        pytest.skip("a lock needs no bytes")
    mount(where, kind)()
    stage.host.kernel.clear_log()
    call = stage.prepare()
    assert (call.status, stage.host.kernel.writes()) == (3, [])
    assert "was not started: " in call.stderr
    assert "Nothing was changed." in call.stderr
    assert "internal error" not in call.stderr
    assert any(word in call.stderr for word in ("No space left on device", "Read-only file system"))


@pytest.mark.parametrize("kind", ["bytes", "inodes"])
@pytest.mark.parametrize("where", ["run/vfioctl", "var/lib/vfioctl", "var/log"])
def test_a_card_comes_home_where_the_room_ends_after_the_start(stage: Stage, mount, where: str, kind: str):
    fill = mount(where, kind)
    assert stage.start().status == 0
    fill()
    stage.stop()
    assert stage.wait_for_return()
    assert [line for line in stage.differences("var*", "run*", "snapshot*", "file *") if "filler" not in line] == []
