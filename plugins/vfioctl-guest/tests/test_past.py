"""What belongs to the snapshots of a guest: which images hang together, in which order they go, and what is written."""

from __future__ import annotations

import json
import os
from pathlib import Path

from vfioctl_guest.past import RECORDS, beside, chain, family, from_top, past

from vfioctl.host.host import Host
from vfioctl.paths import Paths
from vfioctl.proc import Programs
from vfioctl.virt.snapshots import GuestSnapshot

UUID = "9f4f3a3a-8f0a-4b0e-9a53-0f2f0f7f1a11"
BELOW = {"new": "base", "old": "base", "base": "template", "apart.new": "apart", "apart": "template"}
XML = """<domainsnapshot><memory snapshot='external' file='/m/web.clean'/><domain><devices>
  <disk><driver type='raw'/><source file='/i/vda.raw'/><target dev='vda'/></disk>
  <disk><driver type='qcow2'/><source file='/i/vdb.qcow2'/><target dev='vdb'/></disk>
</devices></domain></domainsnapshot>"""


def host_of(place: Path) -> Host:
    paths = Paths(str(place))
    return Host(paths, Programs(paths.programs))


def below(path: str) -> str:
    return BELOW.get(path, "")


def test_only_what_hangs_together_with_a_disk_of_the_guest_is_of_it() -> None:
    assert family({"new"}, {"old", "base", "apart.new", "apart"}, below) == {"old", "base"}


def test_what_both_lie_above_joins_them_only_where_a_snapshot_names_it() -> None:
    assert family({"new"}, {"base", "template", "apart"}, below) == {"base", "template", "apart"}


def test_what_lies_above_comes_first() -> None:
    assert from_top(("template", "base", "old", "new"), below) == ("old", "new", "base", "template")


def test_a_circle_ends() -> None:
    circle = {"a": "b", "b": "a"}
    assert chain("a", lambda path: circle.get(path, "")) == ("b", "a")
    assert set(from_top(("a", "b"), lambda path: circle.get(path, ""))) == {"a", "b"}


def test_of_libvirts_snapshots_the_disks_count_that_they_have(tmp_path: Path) -> None:
    one = GuestSnapshot(UUID, "clean", 1, "shutoff", internal=False, external=True, current=True,
                        files=(("vda", "/i/vda.clean"),), xml=XML)  # fmt: skip
    found = past(host_of(tmp_path), UUID, (one,))
    assert {path: layer.format for path, layer in found.layers.items()} == {
        "/i/vda.clean": "qcow2", "/i/vda.raw": "raw",
    }  # fmt: skip
    assert found.copies == {"/m/web.clean": "the memory of snapshot 'clean'"}


def test_what_is_written_down_counts_too_and_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    place = tmp_path / RECORDS.lstrip("/") / UUID
    place.mkdir(parents=True)
    disks = [{"target": "vda", "image": "/i/a.qcow2", "format": "qcow2", "overlay": ""}]
    (place / "kept.json").write_text(json.dumps({"name": "kept", "disks": disks, "nvram": "/n/a.kept", "tpm": ""}))
    (place / "odd.json").write_text("[]")
    found = past(host_of(tmp_path), UUID, ())
    assert (found.names, list(found.layers)) == (("kept",), ["/i/a.qcow2"])
    assert list(found.copies) == ["/n/a.kept", f"{RECORDS}/{UUID}/kept.json"]
    assert found.unread == (f"{RECORDS}/{UUID}/odd.json",)


def test_copies_beside_an_nvram_are_those_that_bear_a_mark(tmp_path: Path) -> None:
    place = tmp_path / "n"
    place.mkdir()
    for name in ("a.fd", "a.fd.vfioctl-1a2b3c4d.fd", "a.fd.clean-1a2b3c4d", "a.fd.bak", "b.fd.clean-1a2b3c4d"):
        (place / name).touch()
        if "1a2b3c4d" in name:
            os.setxattr(place / name, "user.vfioctl.operation", b"1a2b3c4d")
    reverted = "/n/a.fd.vfioctl-1a2b3c4d.fd"
    assert beside(host_of(tmp_path), reverted, "a copy") == {"/n/a.fd.clean-1a2b3c4d": "a copy"}
    assert list(beside(host_of(tmp_path), "/n/a.fd", "a copy")) == ["/n/a.fd.clean-1a2b3c4d", reverted]
    assert beside(host_of(tmp_path), "/gone/a.fd", "a copy") == {}
