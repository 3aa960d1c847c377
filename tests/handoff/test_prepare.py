"""What a start does once everything is given."""

from __future__ import annotations

import os

import pytest
from hand_offs import BY_NAME, stage
from txn_builders import plan, step

from vfioctl.compose import compose
from vfioctl.errors import Refused
from vfioctl.handoff.commit import commit
from vfioctl.txn.journal import Standing


@pytest.fixture
def on(tmp_path):
    with stage(BY_NAME["generic"], tmp_path) as one:
        yield one


def test_cards_that_cannot_be_pinned_are_given_all_the_same(on):
    place = on.host.paths.at("var/lib/vfioctl/identity")
    with open(place, "w", encoding="utf-8"):
        call = on.prepare()
    assert (call.status, on.story().standing) == (0, Standing.HELD)
    assert "could not be pinned" in call.stderr


def test_a_start_is_refused_in_time_while_somebody_holds_the_lock_of_the_text_consoles(tmp_path):
    with stage(BY_NAME["bochs-lab"], tmp_path) as on:
        for entry in os.listdir(on.host.paths.at("sys/class/vtconsole")):
            on.host.kernel.hang_read(f"/sys/class/vtconsole/{entry}/bind", count=9)
        refused = on.prepare()
        on.host.kernel.release()
        assert "does not say whether the text console" in refused.stderr
        assert on.story() is None
        assert on.differences() == ()


def test_a_plan_that_would_not_be_obeyed_when_it_is_read_is_not_begun(tmp_path):
    here, made = compose(str(tmp_path)), plan(step("a", params={"path": "/etc/passwd", "value": "1"}))
    with pytest.raises(Refused, match=r"step 'a' \(plugin 'test'\) is wrong: path is '/etc/passwd'") as caught:
        commit(here.transaction(made), "boot-1")
    assert caught.value.code == "plan.malformed"
    assert os.listdir(tmp_path) == []
