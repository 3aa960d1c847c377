"""`vfioctl doctor --report FILE`: what is in it, whose it is not, and that nothing is overwritten."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from vfioctl.cli.app import main
from vfioctl.compose import compose
from vfioctl.log import Log
from vfioctl.paths import Paths
from vfioctl.testing.domains import UUID, domain
from vfioctl.testing.scenarios import single_gpu_nvidia_desktop
from vfioctl.txn.history import Run, record

SECRET = ("alice", "win11", UUID, "52:54:00:ab:cd:ef", "/home/bob", "S649NX0T", "tower")


@pytest.fixture
def machine(start_host) -> Path:
    """A host with a guest, a history and a log that name everything that must not come out."""
    root = Path(start_host(single_gpu_nvidia_desktop()).root)
    paths = Paths(str(root))
    for place, text in (
        ("etc/hostname", "tower.example\n"), ("etc/vfioctl/guests/win11.toml", 'session = "end"\n'),
        ("etc/libvirt/qemu/win11.xml", domain("win11", hostdevs=("0000:01:00.0",), devices=(
            "<interface type='bridge'><mac address='52:54:00:ab:cd:ef'/><source bridge='br0'/></interface>"))),
    ):  # fmt: skip
        file = root / place
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    record(paths, Run("20261121T000000-win11", "win11", UUID, "prepare", 0.0, 1.0, ok=False, message=(
        "/home/bob/win11.qcow2 is on /dev/disk/by-id/nvme-S649NX0T")))  # fmt: skip
    Log(paths, stderr=None).error("alice on tower has 52:54:00:ab:cd:ef", guest="win11", uuid=UUID)
    return root


@pytest.fixture
def call(machine, capfd):
    def run(*arguments: str):
        status = main(compose(str(machine)), ["doctor", *arguments], {})
        out, err = capfd.readouterr()
        return status, out, err

    return run


def test_one_file_has_findings_plans_history_and_log(call, tmp_path):
    file = tmp_path / "report.json"
    status, out, err = call("--report", str(file))
    report = json.loads(file.read_text())
    assert (status, "Read it before you send it" in out + err) == (0, True)
    assert {"doctor", "status", "plans", "history", "log", "host"} <= set(report)
    assert [one["guest"] for one in report["plans"]] == ["guest-1"]
    assert report["plans"][0]["plan"]["steps"]
    assert report["history"]["hand_offs"][0]["guest"] == "guest-1"
    assert report["log"][-1]["guest"] == "guest-1"
    assert "holder.display" in {one["code"] for check in report["doctor"]["checks"] for one in check["findings"]}
    assert report["host"]["cards"][0]["address"] == "0000:01:00.0"


def test_it_does_not_tell_whose_host_it_is(call, tmp_path):
    call("--report", str(tmp_path / "report.json"))
    text = (tmp_path / "report.json").read_text()
    assert [secret for secret in SECRET if secret in text] == []


def test_it_is_for_its_owner_alone_and_says_what_was_taken_out(call, tmp_path):
    file = tmp_path / "report.json"
    _, out, _ = call("--report", str(file), "--format", "json")
    data = json.loads(out)["data"]
    assert (file.stat().st_mode & 0o777, data["bytes"]) == (0o600, file.stat().st_size)
    assert {"guest", "user", "uuid", "host"} <= set(data["redacted"])


def test_what_is_there_is_not_overwritten_and_no_link_is_followed(call, tmp_path):
    there, link = tmp_path / "mine", tmp_path / "link"
    there.write_text("mine")
    link.symlink_to(tmp_path / "elsewhere")
    for file in (there, link):
        status, _, err = call("--report", str(file))
        assert (status, "[doctor.report_exists]" in err) == (3, True)
    assert (there.read_text(), (tmp_path / "elsewhere").exists()) == ("mine", False)


def test_a_file_that_cannot_be_made_is_a_clear_sentence(call, tmp_path):
    status, _, err = call("--report", str(tmp_path / "no/such/place"))
    assert (status, "cannot be written: No such file or directory." in err) == (3, True)
    assert "[doctor.report_unwritable]" in err


def test_a_full_disk_leaves_no_half_report(call, monkeypatch, tmp_path):
    def full(_fd: int, _data: bytes) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr("vfioctl.files.write_all", full)
    status, _, err = call("--report", str(tmp_path / "report.json"))
    assert (status, "No space left on device" in err, list(tmp_path.glob("report*"))) == (3, True, [])


def test_a_code_goes_with_no_report(call, tmp_path):
    assert call("iommu.off", "--report", str(tmp_path / "x"))[0] == 2
