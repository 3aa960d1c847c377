"""`vfioctl snapshot` killed at every boundary of its journal, on a real libvirtd: `recover` ends it, by bytes.

At once, after a power cut, and after one without the plugins; a share of the cases runs each time.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import snapshot_lab

pytest.importorskip("libvirt")
pytest.importorskip("vfioctl_snapshot")

VERBS = {
    "create": ("create", "{guest}", "again"),
    "revert": ("revert", "{guest}", "clean"),
    "discard": ("revert", "{guest}", "clean", "--discard", "--yes"),
    "delete": ("delete", "{guest}", "clean", "--yes"),
}
SHAPES: dict[str, dict[str, Any]] = {
    "bios-1": {}, "uefi-3": {"uefi": True, "disks": 3}, "tpm-1": {"tpm": True},
}  # fmt: skip
# How many boundaries each has, two a step; test_every_boundary_is_in_the_matrix counts them.
BOUNDARIES = {
    ("create", "bios-1"): 8, ("revert", "bios-1"): 6, ("discard", "bios-1"): 6, ("delete", "bios-1"): 8,
    ("create", "uefi-3"): 14, ("revert", "uefi-3"): 12, ("discard", "uefi-3"): 18, ("delete", "uefi-3"): 18,
    ("create", "tpm-1"): 10, ("revert", "tpm-1"): 10, ("discard", "tpm-1"): 8, ("delete", "tpm-1"): 10,
}  # fmt: skip
CASES = [(*what, number) for what, most in BOUNDARIES.items() for number in range(1, most + 1)]


@pytest.fixture(scope="module")
def host(module_lab: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with snapshot_lab.silent(module_lab, tmp_path_factory.mktemp("crashes")) as made:
        yield made


class Kept:
    """A guest that was kept as `clean` and has written since; others have files of nearly the same names."""

    def __init__(self, host: Any, shape: str) -> None:
        self.host, self.guest = host, snapshot_lab.Guest(host, **SHAPES[shape])
        self.name, self.clean, self.base = self.guest.name, self.guest.state(), self.guest.sources
        host.done("create", self.name, "clean")
        self.guest.write(0x40)
        self.present, self.overlays, self.nvram = self.guest.state(), self.guest.sources, self.guest.nvram
        images = f"{snapshot_lab.IMAGES}/{self.name}-vda"
        self.foreign = [f"{images}.clean.qcow2.bak", f"{images}.again.qcow2.bak", f"{images}.after-clean.img"]
        host.must("sh", "-c", 'for file; do printf precious > "$file"; done', "sh", *self.foreign)
        self.before = host.files()

    def run(self, verb: str, number: int = 0) -> int:
        """The verb, which dies at boundary `number`; its status."""
        self.host.must("sh", "-c", f"rm -f /.kit/*; [ {number} = 0 ] || echo '{number} 9' > /.kit/crash")
        status: int = self.host.cli("snapshot", *(word.format(guest=self.name) for word in VERBS[verb])).returncode
        return status

    def passed(self) -> int:
        """How many boundaries the last run passed; nobody dies any more."""
        return int(self.host.must("sh", "-c", "wc -l < /.kit/boundaries; rm -f /.kit/*"))

    def is_as_before(self) -> None:
        assert self.guest.state() == self.present
        assert self.host.files() == self.before
        assert self.host.names(self.name) == ["clean"]

    def was_discarded(self) -> None:
        """The present state is gone, which was agreed to, and nothing else."""
        assert self.guest.state() == self.clean
        assert self.host.names(self.name) == ["clean"]
        lost = {*self.overlays.values(), *filter(None, (self.nvram,))}
        assert self.before - self.host.files() == lost
        made = {*self.guest.sources.values(), *filter(None, (self.guest.nvram,))}
        assert self.host.files() - self.before == made

    def was_deleted(self) -> None:
        """The snapshot is gone by file, and the guest has all that it had."""
        assert self.guest.state() == self.present
        assert self.host.names(self.name) == []
        record = f"{snapshot_lab.RECORDS}/{self.guest.uuid}/clean.json"
        copies = [f"{path}.clean" for path in (self.nvram, self.guest.tpm) if path]
        assert self.before - self.host.files() == {*self.base.values(), record, *copies}
        assert self.host.files() - self.before == set()

    def ended(self, verb: str) -> None:
        """As it must be after `verb` was interrupted and recovered; nothing is open, and what is foreign is whole."""
        {"discard": self.was_discarded, "delete": self.was_deleted}.get(verb, self.is_as_before)()
        assert self.host.left_open() == []
        assert self.host.must("cat", *self.foreign) == "precious" * len(self.foreign)


@pytest.mark.parametrize(("verb", "shape"), BOUNDARIES)
def test_every_boundary_is_in_the_matrix(host: Any, verb: str, shape: str) -> None:
    kept = Kept(host, shape)
    assert kept.run(verb) == 0
    assert kept.passed() == BOUNDARIES[verb, shape]


@pytest.mark.matrix
@pytest.mark.parametrize("how", ["at once", "after a power cut", "without plugins"])
@pytest.mark.parametrize(("verb", "shape", "number"), CASES)
def test_nothing_is_lost_but_what_was_agreed_to_and_nothing_is_left(
    host: Any, verb: str, shape: str, number: int, how: str
) -> None:
    kept = Kept(host, shape)
    assert kept.run(verb, number) != 0
    assert kept.passed() == number
    if how != "at once":
        host.restart(daemon=how == "after a power cut")
    said = host.recover_uninstalled() if how == "without plugins" else host.recover()
    assert f"snapshot {VERBS[verb][0]} guest:{kept.name} was interrupted" in said
    kept.ended(verb)
