"""Pinned identities: what `enable` pins is what a later start compares."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from vfioctl.handoff import identity
from vfioctl.host.model import PciDevice
from vfioctl.paths import Paths

UUID = "4dea22b3-1d52-d8f3-2516-782e98ab3fa0"
CARD = PciDevice("0000:01:00.0", 0x030000, 0x10DE, 0x2484, 0x1458, 0x4072)
SOUND = PciDevice("0000:01:00.1", 0x040300, 0x10DE, 0x228B, 0x1458, 0x4072)


def test_a_guest_without_a_pin_is_not_refused(tmp_path: Path) -> None:
    paths = Paths(str(tmp_path))
    assert identity.pinned(paths, UUID) is None
    assert identity.check(paths, UUID, "win11", [CARD]) == ()
    assert identity.unpinned(paths, UUID, [CARD, SOUND]) == (CARD, SOUND)


def test_the_pinned_card_passes_and_is_known(tmp_path: Path) -> None:
    paths = Paths(str(tmp_path))
    identity.pin(paths, UUID, "win11", [CARD])
    assert identity.pinned(paths, UUID) == {"0000:01:00.0": "10de:2484:1458:4072"}
    assert identity.check(paths, UUID, "win11", [CARD, SOUND]) == ()
    assert identity.unpinned(paths, UUID, [CARD, SOUND]) == (SOUND,)


def test_another_card_at_the_pinned_address_blocks_and_names_both(tmp_path: Path) -> None:
    paths = Paths(str(tmp_path))
    identity.pin(paths, UUID, "win11", [CARD])
    (finding,) = identity.check(paths, UUID, "win11", [replace(CARD, device=0x1B80)])
    assert finding.code == "identity.changed"
    assert "10de:1b80:1458:4072 now, but 10de:2484:1458:4072 was pinned for win11" in finding.message


def test_a_damaged_pin_fails_closed(tmp_path: Path) -> None:
    paths = Paths(str(tmp_path))
    identity.pin(paths, UUID, "win11", [CARD])
    Path(paths.identity(UUID)).write_text('{"devices": ')
    (finding,) = identity.check(paths, UUID, "win11", [CARD])
    assert finding.code == "identity.malformed"


def test_pinning_again_replaces_and_unpinning_forgets(tmp_path: Path) -> None:
    paths = Paths(str(tmp_path))
    identity.pin(paths, UUID, "win11", [CARD, SOUND])
    identity.pin(paths, UUID, "win11", [SOUND])
    assert identity.pinned(paths, UUID) == {"0000:01:00.1": "10de:228b:1458:4072"}
    identity.unpin(paths, UUID)
    assert identity.pinned(paths, UUID) is None
