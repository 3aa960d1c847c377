"""What a start does once everything is given."""

from __future__ import annotations

import pytest
from hand_offs import BY_NAME, stage

from vfioctl.txn.journal import Standing


@pytest.fixture
def on(tmp_path):
    with stage(BY_NAME["generic"], tmp_path) as one:
        yield one


def test_cards_that_cannot_be_pinned_are_given_all_the_same(on):
    place = on.host.paths.at("var/lib/vfioctl/identity")
    with open(place, "w", encoding="utf-8"):
        call = on.prepare()
    assert (call.status, on.story().standing) == (0, Standing.GIVEN)
    assert "could not be pinned" in call.stderr
