"""What `enable --gpu` and its neighbours refuse before anything is asked of libvirt, and what a dry run shows."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from vfioctl.testing.domains import UUID, domain

CARD = "0000:01:00.0"
EARLIER = "00000000-0000-4000-8000-000000000001"


@pytest.fixture
def xml(root: Path, tmp_path: Path) -> str:
    """The domain of a guest that gets the one function of this host, managed='yes'; its screen has a password."""
    place = root / "sys/bus/pci/devices" / CARD
    place.mkdir()
    for name, value in (("class", "0x020000"), ("vendor", "0x8086"), ("device", "0x1521")):
        (place / name).write_text(f"{value}\n")
    file = tmp_path / "win11.xml"
    screen = "<graphics type='vnc' passwd='hunter2'/>"
    file.write_text(domain("win11", hostdevs=(CARD,), managed=True, devices=screen))
    return str(file)


def everything(root: Path) -> list[str]:
    return sorted(str(path) for place in ("etc/vfioctl/guests", "var/lib/vfioctl/domains", "var/lib/vfioctl/identity")
                  for path in (root / place).glob("*"))  # fmt: skip


def test_devices_are_given_to_libvirts_domain_and_not_to_a_file(run: Any, xml: str) -> None:
    shown = run("enable", "win11", "--xml", xml, "--gpu", "first-free")
    assert shown.status == 2
    assert "--xml shows a change" in shown.err


@pytest.mark.parametrize(("here", "hint"), [
    (True, "docs/how-to/install.md says how to install libvirt-python"),
    (False, "Put the devices into FILE of `virsh dumpxml --inactive win11 >FILE`, then: virsh define FILE"),
])  # fmt: skip
def test_without_libvirt_python_it_is_said_what_helps(
    run: Any, root: Path, xml: str, monkeypatch: pytest.MonkeyPatch, hint: str, *, here: bool
) -> None:
    monkeypatch.setattr("vfioctl.actions.equip.operation.has_daemon", lambda _paths: here)
    place = root / "etc/libvirt/qemu"
    place.mkdir(parents=True)
    (place / "win11.xml").write_text(Path(xml).read_text())
    shown = run("enable", "win11", "--gpu", "first-free")
    assert shown.status == 3
    assert "[libvirt.binding]" in shown.err
    assert hint in shown.err
    assert everything(root) == []


def test_a_dry_run_shows_files_and_change_without_the_password_and_does_nothing(run: Any, root: Path, xml: str) -> None:
    shown = run("enable", "win11", "--xml", xml, "--dry-run")
    assert shown.status == 0, shown.err
    assert ("file.write" in shown.out, 'managed="no"' in shown.out, "hunter2" in shown.out) == (True, True, False)
    assert everything(root) == []


def test_a_dry_run_of_disable_changes_nothing_either(run: Any, root: Path, xml: str) -> None:
    run("enable", "win11", "--xml", xml)
    before = everything(root)
    shown = run("disable", "win11", "--xml", xml, "--dry-run")
    assert shown.status == 0, shown.err
    assert "win11 would no longer be managed." in shown.out
    assert everything(root) == before
    assert len(before) == 3


def test_what_a_card_was_given_with_is_kept_by_a_later_plain_enable(run: Any, root: Path, xml: str) -> None:
    run("enable", "win11", "--xml", xml)
    (record,) = (root / "var/lib/vfioctl/domains").glob("*.json")
    known = json.loads(record.read_text())
    record.write_text(json.dumps({**known, "equipped": {"former": "<x/>"}}))
    os.chmod(record, 0o600)
    run("enable", "win11", "--xml", xml)
    assert json.loads(record.read_text())["equipped"] == {"former": "<x/>"}


def test_a_guest_that_got_the_name_of_another_one_is_disabled_by_its_own_record(
    run: Any, root: Path, xml: str, tmp_path: Path
) -> None:
    run("enable", "win11", "--xml", xml)
    of_the_other = {root / f"var/lib/vfioctl/{place}/{EARLIER}.json" for place in ("domains", "identity")}
    for file in of_the_other:
        own = file.with_name(f"{UUID}.json")
        file.write_text(own.read_text().replace(CARD, "0000:09:00.0"))
        file.chmod(0o600)
    given = tmp_path / "given.xml"
    given.write_text(Path(xml).read_text().replace('managed="yes"', 'managed="no"'))
    shown = run("disable", "win11", "--xml", str(given))
    assert (shown.status, '+    <hostdev mode="subsystem" type="pci" managed="yes">' in shown.out) == (0, True)
    assert everything(root) == sorted(map(str, of_the_other))


def test_of_two_guests_of_one_name_none_is_guessed_where_the_domain_is_not_known(
    run: Any, root: Path, xml: str
) -> None:
    Path(xml).write_text(Path(xml).read_text().replace('managed="yes"', 'managed="no"'))
    run("enable", "win11", "--xml", xml)
    (record,) = (root / "var/lib/vfioctl/domains").glob("*.json")
    record.with_name(f"{EARLIER}.json").write_text(record.read_text())
    before = everything(root)
    assert run("disable", "win11").status == 3
    assert everything(root) == before
