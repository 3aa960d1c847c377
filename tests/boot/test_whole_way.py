"""The tutorial about a first card, typed on a Debian that boots by its own loader: from a bare host, and back to it.

--regenerate writes what its commands have said, on Debian 12 with GRUB, on the page.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny_guest
from own_loader import EACH, told
from wheel_set import ROOT

from tests.lab.inside import tutorial

# A disk made of packages, and three boots of a desktop.
pytestmark = [pytest.mark.matrix, pytest.mark.timeout(7200)]
PAGE = ROOT / "docs/tutorial/first-card.md"
SHOWN = ("12", "grub")


@pytest.mark.parametrize(("debian", "loader"), EACH)
def test_the_commands_of_the_tutorial_lead_from_a_bare_host_to_a_guest_with_its_card_and_back(
    debian: str, loader: str, package: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    files = (PAGE, package, tiny_guest.write_disk(tmp_path / "disk.raw"))
    heard = told(debian, loader, "way", files, tmp_path)
    assert "the file system is the first one" in [event.get("name") for event in heard]
    if request.config.getoption("--regenerate") and (debian, loader) == SHOWN:
        said = [(event["command"], event["said"]) for event in heard if "command" in event]
        PAGE.write_text(tutorial.answered(PAGE.read_text(), said))
