"""The records of snapshots, as any program finds them on this host."""

from __future__ import annotations

import json
from pathlib import Path

from vfioctl.host.snapshot_records import snapshot_records
from vfioctl.paths import Paths

UUID = "0b5d3f3e-7f2c-4a55-9d4c-0f5f3b1f7a11"
RECORD = {
    "version": 1, "guest": "web", "name": "before", "disks": [{"target": "vda", "image": "/srv/web.qcow2"}],
    "nvram": "/srv/VARS.fd.before", "tpm": "",
}  # fmt: skip


def put(root: Path, text: str, name: str = "before") -> Path:
    file = root / "var/lib/vfioctl/snapshots" / UUID / f"{name}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def test_a_record_names_its_guest_and_every_file_that_it_needs(tmp_path: Path) -> None:
    put(tmp_path, json.dumps(RECORD))
    (found,) = snapshot_records(Paths(str(tmp_path)))
    assert found.said == "snapshot before of guest web"
    assert found.files == ("/srv/web.qcow2", "/srv/VARS.fd.before")
    assert snapshot_records(Paths(str(tmp_path)), UUID) == (found,)
    assert snapshot_records(Paths(str(tmp_path)), "another") == ()


def test_a_host_without_snapshots_has_no_record(tmp_path: Path) -> None:
    assert snapshot_records(Paths(str(tmp_path))) == ()


def test_one_that_is_no_record_is_named_with_its_problem(tmp_path: Path) -> None:
    for number, text in enumerate(("{", "[]", "{}", json.dumps({**RECORD, "disks": [{}]}), "[" * 10**5)):
        put(tmp_path, text, str(number))
    found = snapshot_records(Paths(str(tmp_path)))
    assert len(found) == 5
    assert all(one.problem and one.files == () and one.file.endswith(".json") for one in found)
