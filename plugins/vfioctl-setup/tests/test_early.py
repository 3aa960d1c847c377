"""Early binding: vfio-pci takes a card at boot, from the initramfs."""

from __future__ import annotations

import json

import pytest

CARD = "0000:01:00.0"
SETTINGS = "etc/modprobe.d/vfioctl-early.conf"


def test_the_ids_of_all_its_functions_and_the_drivers_that_must_wait_are_written(tree, setup):
    tree.grub().initramfs_tools()
    before = tree.state()
    shown = setup("--early", CARD, "--yes")
    assert shown.status == 0, shown.err
    lines = (tree.root / SETTINGS).read_text().splitlines()[1:]
    assert lines == [
        "options vfio-pci ids=10de:2684,10de:22ba", "softdep nouveau pre: vfio-pci",
        "softdep snd_hda_intel pre: vfio-pci",
    ]  # fmt: skip
    modules, settings = json.loads(tree.image())
    assert modules.splitlines()[-1] == "vfio_pci"
    assert "vfioctl-early.conf" in settings
    assert setup("--undo", "--yes").status == 0
    assert tree.state() == before


def test_a_second_card_is_added_to_the_first_and_the_undo_lets_go_of_both(tree, setup):
    tree.grub().initramfs_tools()
    tree.device("0000:02:00.0", driver="amdgpu", group=2, vendor="0x1002", device="0x73bf")
    before = tree.state()
    assert setup("--early", CARD, "--yes").status == 0
    first = (tree.root / SETTINGS).read_text()
    shown = setup("--early", "0000:02:00.0", "--yes")
    assert shown.status == 0, shown.err
    options, *softdeps = (tree.root / SETTINGS).read_text().splitlines()[1:]
    assert options == "options vfio-pci ids=10de:2684,10de:22ba,1002:73bf"
    assert softdeps == [f"softdep {name} pre: vfio-pci" for name in ("amdgpu", "nouveau", "snd_hda_intel")]
    assert first.splitlines()[2:] == softdeps[1:]
    assert setup("--undo", "--yes").status == 0
    assert tree.state() == before


def test_once_vfio_pci_has_it_nothing_is_left_to_do(tree, setup):
    tree.grub().initramfs_tools()
    assert setup("--early", CARD, "--yes").status == 0
    settings = (tree.root / SETTINGS).read_text()
    for address in (CARD, "0000:01:00.1"):
        (tree.root / f"sys/devices/pci0000:00/{address}/driver").unlink()
        tree.bind(address, "vfio-pci")
    rows = setup("--early", CARD, "--dry-run", "--format", "json").data["parts"]
    assert [row["state"] for row in rows if row["part"] == "early binding"] == ["right"]
    assert (tree.root / SETTINGS).read_text() == settings


@pytest.mark.parametrize("hostonly", [False, True])
def test_in_the_image_that_dracut_makes_vfio_pci_knows_its_cards(tree, setup, hostonly):
    tree.grub().dracut(hostonly=hostonly)
    before = tree.state()
    assert setup("--early", CARD, "--yes").status == 0
    drivers, settings = json.loads(tree.image())
    assert drivers == ["vfio_pci"]
    assert "ids=10de:2684,10de:22ba" in settings["vfioctl-early.conf"]
    assert setup("--undo", "--yes").status == 0
    assert tree.state() == before


def test_doctor_takes_no_line_of_the_file_for_dracut_but_the_one_of_the_drivers(tree, setup, vfioctl):
    tree.grub().dracut()
    assert setup("--early", CARD, "--yes").status == 0
    checks = vfioctl("doctor", "--format", "json").data["checks"]
    found = [one["evidence"] for check in checks for one in check["findings"] if one["code"] == "driver.early"]
    assert [one.partition(": ")[2] for one in found] == ['force_drivers+=" vfio_pci "']


def test_another_tool_is_told_to_a_person_and_the_settings_are_written(tree, setup):
    tree.grub().shell("mkinitcpio", "#!/bin/sh\n")
    shown = setup("--early", CARD, "--yes")
    assert shown.status == 0, shown.err
    assert (tree.root / SETTINGS).exists()


def test_a_second_card_of_the_model_would_be_taken_too_so_that_it_is_refused(tree, setup):
    tree.grub().device("0000:02:00.0", driver="nouveau", group=2)
    before = tree.state()
    shown = setup("--early", CARD, "--yes")
    assert (shown.status, "[setup.same_model]" in shown.err) == (3, True)
    assert tree.state() == before


@pytest.mark.parametrize("address", ["0000:09:00.0", "nonsense"])
def test_a_card_that_is_not_there_is_refused(tree, setup, address):
    shown = setup("--early", address)
    assert (shown.status, "[card.unknown]" in shown.err) == (3, True), shown.err


def test_without_room_in_boot_nothing_is_begun(tree, setup, monkeypatch):
    import os

    tree.grub().initramfs_tools()
    before, real = tree.state(), os.statvfs

    def full(place):
        found = list(real(place))
        if str(place).endswith("/boot"):
            found[4] = 0
        return os.statvfs_result(found)

    monkeypatch.setattr(os, "statvfs", full)
    shown = setup("--early", CARD, "--yes")
    assert (shown.status, "[setup.no_room]" in shown.err) == (3, True), shown.err
    assert tree.state() == before
