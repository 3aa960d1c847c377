"""volume.fetch by itself, on a real libvirtd: from a server that gives something else than it has announced."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from disk_images import create
from downloads import CONTENT, Served, serving
from pool_store import Store

from vfioctl.errors import StepFailed
from vfioctl.kinds.libvirt.volume_fetch import KIND
from vfioctl.txn.step import State, Step

pytest.importorskip("libvirt", reason="libvirt-python is not installed (docs/how-to/install.md)")


@pytest.fixture
def store(lab: Any, tmp_path: Path) -> Iterator[Store]:
    tmp_path.chmod(0o755)
    made = Store(lab, tmp_path)
    made.made()
    Path(made.machine.paths.at("var/tmp")).mkdir(parents=True, exist_ok=True)
    yield made
    made.remove()


@pytest.fixture
def server() -> Iterator[Served]:
    with serving() as served:
        yield served


def fetch(store: Store, server: Served, **announced: Any) -> Step:
    """The step for what the server gives now, where it had `announced` that; the volume is made."""
    wanted = {"format": "raw", "capacity": len(CONTENT), "size": len(CONTENT), **announced}
    store.do(store.volume("volume.create", "a", format=wanted["format"], size=wanted["capacity"], marked=True))
    return store.volume("volume.fetch", "a", url=server.url, sha256=server.sha256, marked=True, **wanted)


def fails(store: Store, step: Step) -> str:
    with pytest.raises(StepFailed) as caught:
        store.do(step)
    assert store.state(step) is State.BETWEEN, "it goes with its volume"
    assert os.listdir(store.machine.paths.at("var/tmp")) == []
    return caught.value.code


def test_what_comes_is_what_a_guest_sees(store: Store, server: Served) -> None:
    store.do(fetch(store, server))
    assert hashlib.sha256(Path(store.path, "a").read_bytes()).hexdigest() == server.sha256
    assert os.listdir(store.machine.paths.at("var/tmp")) == []


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


def test_a_directory_that_cannot_be_written_is_named(store: Store, server: Served) -> None:
    os.rmdir(store.machine.paths.at("var/tmp"))
    step = fetch(store, server)
    with pytest.raises(StepFailed, match="var/tmp") as caught:
        store.do(step)
    assert caught.value.code == "file.write_failed"


def test_only_https_may_do_without_a_checksum() -> None:
    uuid = "00000000-0000-4000-8000-000000000000"
    params = {"uri": "qemu:///system", "pool": uuid, "name": "a", "format": "raw", "capacity": 1, "size": 1,
              "marked": True}  # fmt: skip
    assert "sha256 is missing" in KIND.unfit({**params, "url": "http://host/x"})
    assert KIND.unfit({**params, "url": "https://host/x"}) == ""
