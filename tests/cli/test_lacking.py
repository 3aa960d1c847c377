"""What a guest that is off lacks until it can start stands next to it, with the next command."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from vfioctl.testing.domains import UUID, DiskXml, domain
from vfioctl.testing.libvirt import FakeLibvirt
from vfioctl.testing.scenarios import two_gpu

GPU, SOUND = "0000:01:00.0", "0000:01:00.1"
SECOND = "6f1c2a34-5b6d-4e7f-8a90-b1c2d3e4f507"
LAN = "<interface type='network'><source network='lan'/></interface>"


@pytest.fixture
def keep(root: Path):
    """Lets libvirt keep the domain `xml` of `guest`, and vfioctl manage it."""

    def keep(guest: str, xml: str | None, *, managed: bool = True) -> None:
        for place in ("etc/libvirt/qemu/networks", "etc/vfioctl/guests", "run/libvirt/network"):
            (root / place).mkdir(parents=True, exist_ok=True)
        if xml:
            (root / f"etc/libvirt/qemu/{guest}.xml").write_text(xml)
        if managed:
            (root / f"etc/vfioctl/guests/{guest}.toml").write_text("")

    return keep


def lacks(run: Any, guest: str = "win11") -> list[str]:
    """The codes of what `guest` lacks, which `list` and `status` say alike."""
    found = []
    for verb in ("list", "status"):
        rows = run(verb, "--format", "json").envelope["data"]["guests"]
        found.append([one["code"] for row in rows if row["guest"] == guest for one in row["lacks"]])
    assert found[0] == found[1]
    return found[0]


def test_a_managed_guest_without_a_device_is_told_how_to_get_one(run: Any, keep: Any) -> None:
    keep("win11", domain("win11"))
    assert lacks(run) == ["guest.no_device"]
    for verb in ("list", "status"):
        shown = run(verb).out
        assert "win11 cannot start yet: It has no device of the host." in shown
        assert "vfioctl enable win11 --gpu first-free" in shown


def test_a_guest_that_gets_a_function_out_of_a_networks_pool_lacks_none(run: Any, keep: Any, root: Path) -> None:
    keep("win11", domain("win11", devices=LAN))
    forward = "<forward mode='hostdev'><pf dev='eth3'/></forward>"
    (root / "run/libvirt/network/lan.xml").write_text(f"<network><name>lan</name>{forward}</network>")
    assert lacks(run) == []


def test_a_guest_that_libvirt_does_not_keep_is_named(run: Any, keep: Any) -> None:
    keep("win11", None)
    assert lacks(run) == ["guest.unknown"]


def test_a_device_that_is_gone_and_a_disk_and_a_network_are_named_together(run: Any, keep: Any) -> None:
    disk = DiskXml("/srv/none.qcow2")
    keep("win11", domain("win11", hostdevs=(GPU,), disks=(disk,), devices=LAN))
    assert sorted(lacks(run)) == ["device.missing", "start.disk_missing", "start.network_unknown"]


def test_a_damaged_definition_is_said_and_costs_the_list_nothing(run: Any, keep: Any) -> None:
    keep("win11", "<domain>")
    assert lacks(run) == ["domain.malformed"]


def test_a_guest_file_that_is_wrong_is_said_there_too(run: Any, keep: Any, root: Path) -> None:
    keep("win11", domain("win11"))
    (root / "etc/vfioctl/guests/win11.toml").write_text("sesion = 'end'\n")
    assert lacks(run)[0].startswith("config.")


@pytest.mark.parametrize("fake_host", [two_gpu(logged_in=False)], indirect=True)
def test_a_card_that_another_guest_has_is_said_until_that_one_stops(fake_host: Any, capfd: Any) -> None:
    import json

    from vfioctl.cli.app import main

    daemon = FakeLibvirt(fake_host)
    daemon.install()
    xml = domain("win11", hostdevs=(GPU, SOUND))
    for name, text in (("win11", xml), ("second", domain("second", uuid=SECOND, hostdevs=(GPU, SOUND)))):
        daemon.manage(name)
        place = Path(fake_host.paths.at("etc/libvirt/qemu"))
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{name}.xml").write_text(text)

    def rows() -> dict[str, Any]:
        capfd.readouterr()
        assert main(daemon.composition, ["list", "--format", "json"], {}) == 0
        return {row["guest"]: row["lacks"] for row in json.loads(capfd.readouterr().out)["data"]["guests"]}

    assert rows() == {"win11": [], "second": []}
    assert daemon.start("win11", UUID, xml.encode(), addresses=(GPU, SOUND)).status == 0
    found = rows()
    assert found["win11"] is None
    assert [one["code"] for one in found["second"]] == ["device.given"] * 2
    assert "vfioctl status win11" in found["second"][0]["hint"]
    daemon.stop("win11", xml.encode())
    assert daemon.returned(UUID)
