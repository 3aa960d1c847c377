"""What hands type by habit is answered with our word for it, where there is that verb."""

from __future__ import annotations

import pytest
from hints import VERBS

from vfioctl.cli.words import AT_THE_ROOT, NOUNS, ours
from vfioctl.cli.words import VERBS as WORDS
from vfioctl.verbs.row import last_word
from vfioctl.verbs.table import BUILT_IN


@pytest.mark.parametrize(("group", "typed", "meant"), [
    ("", "start", "guest start"), ("", "undefine", "guest delete"), ("guest", "undefine", "guest delete"),
    ("guest", "rm", "guest delete"), ("", "domifaddr", "guest address"), ("", "managedsave", "guest save"),
    ("", "net-dhcp-leases", "network leases"), ("", "pool-define-as", "pool create"),
    ("", "vol-delete", "volume delete"),
    ("", "snapshot-revert", "snapshot revert"), ("snapshot", "rollback", "snapshot revert"),
    ("guest", "poweroff", "guest stop --force"), ("pool", "destroy", "pool stop"), ("", "log", "history"),
    ("", "set-user-password", "guest passwd"), ("guest", "get-user-sshkeys", "guest ssh-key list"),
    ("guest", "push", "guest copy"),
])  # fmt: skip
def test_a_word_of_another_program_has_one_of_ours(group: str, typed: str, meant: str) -> None:
    assert ours(group, typed, VERBS) == meant


def test_destroy_at_the_root_is_answered_by_the_verb_that_names_both_of_its_meanings() -> None:
    assert ours("", "destroy", VERBS) == "guest destroy"


def test_no_verb_is_named_that_is_not_installed() -> None:
    assert ours("guest", "rm", BUILT_IN) == ""
    assert ours("pool", "pause", VERBS) == ""


def test_every_word_of_ours_is_one() -> None:
    there = {word for row in VERBS.rows for word in (last_word(row), row.name.partition(" ")[2])}
    assert {verb.partition(" --")[0] for verb in WORDS.values()} <= there
    assert {*AT_THE_ROOT.values(), *NOUNS.values()} <= {entry.name for entry in VERBS.below()}


def test_it_is_said_where_an_unknown_command_is_refused(run) -> None:
    shown = run("node", "info")
    assert (shown.status, '; did you mean "node show"? [usage]' in shown.err) == (2, True)
