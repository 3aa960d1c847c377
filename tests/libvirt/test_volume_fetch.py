"""volume.fetch by itself, on a real libvirtd: from a server that gives something else than it has announced."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from disk_images import create
from downloads import CONTENT, Served, serving
from pool_store import Store

from vfioctl.errors import StepFailed
from vfioctl.kinds.files import web
from vfioctl.kinds.libvirt.volume_fetch import KIND
from vfioctl.sizes import as_size
from vfioctl.txn.engine import Interrupted
from vfioctl.txn.step import State, Step

pytest.importorskip("libvirt", reason="libvirt-python is not installed (docs/how-to/install.md)")

HALF = len(CONTENT) // 2


@pytest.fixture
def server() -> Iterator[Served]:
    with serving() as served:
        yield served


def fetch(store: Store, server: Served, **announced: Any) -> Step:
    """The step for what the server gives now, where it had `announced` that; the volume is made."""
    wanted = {"format": "raw", "capacity": len(CONTENT), "size": len(CONTENT), **announced}
    store.do(store.volume("volume.create", "a", format=wanted["format"], size=wanted["capacity"], marked=True))
    return store.volume("volume.fetch", "a", url=server.url, sha256=server.sha256, marked=True, **wanted)


def kept(store: Store) -> list[Path]:
    """What is kept of downloads that were broken off."""
    return list(Path(store.machine.paths.downloads).glob("*"))


def fails(store: Store, step: Step) -> str:
    with pytest.raises(StepFailed) as caught:
        store.do(step)
    assert store.state(step) is State.BETWEEN, "it goes with its volume"
    assert kept(store) == []
    return caught.value.code


def test_what_comes_is_what_a_guest_sees(store: Store, server: Served) -> None:
    store.do(fetch(store, server))
    assert hashlib.sha256(Path(store.path, "a").read_bytes()).hexdigest() == server.sha256
    assert kept(store) == []


def test_it_says_how_far_it_is(store: Store, server: Served) -> None:
    heard: list[tuple[int, int, str]] = []
    KIND.apply(fetch(store, server), store.machine.watched(lambda *told: heard.append(told), lambda: None))
    assert (len(CONTENT), len(CONTENT), "bytes") in heard


@pytest.mark.parametrize(("content", "code"), [(CONTENT * 2, "fetch.too_large"), (CONTENT[:-1], "fetch.content")])
def test_another_length_is_not_taken(store: Store, server: Served, content: bytes, code: str) -> None:
    server.content = content
    assert fails(store, fetch(store, server)) == code


@pytest.mark.parametrize("announced", ["raw", "another size", "whole"])
def test_another_image_is_not_taken(store: Store, server: Served, announced: str) -> None:
    """Its header can name any file of the host, which libvirt would open for it."""
    place = store.machine.paths.at("srv")
    base = create(f"{place}/base.qcow2")
    path = create(f"{place}/top.qcow2", backing=base) if announced == "whole" else base
    server.content = Path(path).read_bytes()
    form, size = ("raw", len(server.content)) if announced == "raw" else ("qcow2", 8 << 20)
    if announced == "another size":
        size *= 2
    step = fetch(store, server, format=form, capacity=size, size=len(server.content))
    assert fails(store, step) == "fetch.content"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "STALL", 0.5)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("how", ["stalls", "is cut off", "is gone"])
def test_what_a_server_that_fails_has_sent_is_kept_and_gone_on_with(store: Store, server: Served, how: str) -> None:
    step = fetch(store, server)
    if how == "stalls":
        server.half_way()
    else:
        server.cut = [HALF, *[0] * 99]
        server.then = [server.leave] if how == "is gone" else []
    with pytest.raises(StepFailed) as caught:
        store.do(step)
    assert caught.value.code == ("fetch.stalled" if how == "stalls" else "fetch.cut_off")
    assert f"{as_size(HALF)} of it are kept for 7 days" in str(caught.value)
    (part,) = kept(store)
    assert part.read_bytes() == CONTENT[:HALF]
    if how != "is gone":
        server.cut, server.asked, server.sent = [], [], []
        server.pause.set()
        store.do(step)
        assert [asked["Range"] for asked in server.asked] == [f"bytes={HALF}-"]
        assert hashlib.sha256(Path(store.path, "a").read_bytes()).hexdigest() == server.sha256
        assert kept(store) == []


def test_what_was_cancelled_is_not_kept(store: Store, server: Served) -> None:
    server.half_way()

    def check() -> None:
        if server.reached.is_set():
            raise Interrupted

    step = fetch(store, server)
    with pytest.raises(Interrupted):
        KIND.apply(step, store.machine.watched(lambda *_: None, check))
    assert kept(store) == []


def test_where_libvirt_fails_after_it_all_of_it_is_kept(store: Store, server: Served) -> None:
    step = fetch(store, server)
    store.handle.storageVolLookupByName("a").delete()
    with pytest.raises(StepFailed, match="has no volume"):
        KIND.apply(step, store.machine)
    (part,) = kept(store)
    assert part.read_bytes() == CONTENT
    close(part)
    server.sent = []
    store.do(fetch(store, server))
    assert server.sent == []
    assert kept(store) == []


def close(file: Path) -> None:
    """What the end of the process does: nobody knows whether libvirt's thread still reads from it."""
    for number in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):
            if os.readlink(f"/proc/self/fd/{number}") == str(file):
                os.close(int(number))


def test_a_directory_that_cannot_be_written_is_named(store: Store, server: Served) -> None:
    Path(store.machine.paths.downloads).write_text("in the way")
    step = fetch(store, server)
    with pytest.raises(StepFailed, match="downloads") as caught:
        store.do(step)
    assert caught.value.code == "file.write_failed"


def test_only_https_may_do_without_a_checksum() -> None:
    uuid = "00000000-0000-4000-8000-000000000000"
    params = {"uri": "qemu:///system", "pool": uuid, "name": "a", "format": "raw", "capacity": 1, "size": 1,
              "marked": True}  # fmt: skip
    assert "sha256 is missing" in KIND.unfit({**params, "url": "http://host/x"})
    assert KIND.unfit({**params, "url": "https://host/x"}) == ""
