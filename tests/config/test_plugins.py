"""What a start says of settings that name plugins."""

from __future__ import annotations

import pytest

from vfioctl.config.model import GuestConfig
from vfioctl.config.plugins import findings

KNOWN = ("generic", "nvidia", "snapshot")


@pytest.mark.parametrize(("handler", "off", "said"), [
    ("nvidia", (), []),
    ("snapshot", (), []),  # it decides where two would take a snapshot of one disk
    ("nvdia", (), ["plugin.unknown"]),
    ("nvidia", ("nvidia",), ["plugin.no_effect"]),
    (None, ("generic",), ["plugin.no_effect"]),
    (None, ("nvidia",), []),
])  # fmt: skip
def test_a_name_that_changes_nothing_is_warned_of(handler: str | None, off: tuple[str, ...], said: list[str]) -> None:
    config = GuestConfig("win11", handler=handler, disabled_plugins=off)
    assert [one.code for one in findings(config, KNOWN)] == said
