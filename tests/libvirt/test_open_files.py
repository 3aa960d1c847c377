"""Volumes that a plain program of this host has open, on a real libvirtd: they stay, and the program is named."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from disk_images import opened
from volume_lab import PLACE, POOL, Volumes, prepared

pytest.importorskip("libvirt")
pytest.importorskip("vfioctl_storage")

NAME = "web.qcow2"
SOURCE = f"{PLACE}/source.img"
VERBS = {"delete": ("delete", "fast", NAME, "--yes"), "resize": ("resize", "fast", NAME, "32M"),
         "compact": ("compact", "fast", NAME)}  # fmt: skip


@pytest.fixture(scope="module")
def host(module_lab: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return prepared(module_lab, tmp_path_factory.mktemp("open"))


@pytest.fixture
def on(host: Any) -> Iterator[Volumes]:
    made = Volumes(host)
    made.cli("create", "fast", NAME, "--size", "16M")
    made.host.must("qemu-io", "-f", "qcow2", "-c", "write -P 0 0 8M", f"{POOL}/{NAME}")
    yield made
    made.remove()


def here(on: Volumes, path: str) -> Path:
    """The file as this process sees it, by a path that nobody else has."""
    return Path(f"/proc/{on.host.lab.holder_pid}/root{on.host.tree}{path}")


@pytest.mark.parametrize("verb", VERBS)
def test_a_program_that_has_it_open_is_named_and_keeps_it(on: Volumes, verb: str) -> None:
    comm = Path("/proc/self/comm").read_text().strip()
    with here(on, f"{POOL}/{NAME}").open("rb"):
        said = on.refused("disk.busy", *VERBS[verb])
        assert f"{comm} (pid {os.getpid()})" in said
        on.cli(*VERBS[verb], "--dry-run", status=3)
    on.cli(*VERBS[verb])


@pytest.mark.parametrize("verb", VERBS)
def test_one_that_opens_it_after_the_plan_is_asked_about_again(on: Volumes, verb: str) -> None:
    path, file = here(on, f"{POOL}/{NAME}"), None
    before = on.files()
    try:
        with on.host.standing_still(1, "volume", *VERBS[verb]) as process:
            file = path.open("rb")
        assert process.returncode not in (0, 4)
    finally:
        assert file is not None
        file.close()
    assert on.host.left_open() == []
    assert on.files() == before


def test_a_qemu_tool_that_has_it_open_is_named_too(on: Volumes) -> None:
    user = opened(here(on, f"{POOL}/{NAME}"), readonly=True)
    try:
        assert f"qemu-io (pid {user.pid})" in on.refused("disk.busy", *VERBS["delete"])
    finally:
        user.communicate("quit\n")


def test_a_file_that_still_comes_is_not_uploaded(on: Volumes) -> None:
    on.host.must("sh", "-c", f"head -c 1M /dev/urandom > {SOURCE}")
    with here(on, SOURCE).open("ab"):
        said = on.refused("disk.busy", "upload", "fast", "new.img", SOURCE)
        assert f"being written to by {Path('/proc/self/comm').read_text().strip()} (pid {os.getpid()})" in said
    with here(on, SOURCE).open("rb"):
        on.cli("upload", "fast", "new.img", SOURCE)
