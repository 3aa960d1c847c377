"""What hands type by habit is answered with our word for it, where there is that verb."""

from __future__ import annotations

import pytest
from hints import VERBS

from vfioctl.cli.words import ABSENT, AT_THE_ROOT, LEFT_OUT, NOUNS, OPTIONS, absent, listed, option, ours
from vfioctl.cli.words import VERBS as WORDS
from vfioctl.verbs.load import load
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
    ("guest", "push", "guest copy"), ("guest", "cp", "guest copy"),
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


def known(verb: str) -> set[str]:
    """The options of a verb, with those of every verb."""
    row = VERBS.find(verb)
    assert row is not None
    return {"--format", *(name for param in load(row).params for name in param.opts)}


@pytest.mark.parametrize(("verb", "typed", "meant"), [
    ("guest create", "--ram", "--memory"), ("guest create", "-r", "--memory"), ("guest create", "--cdrom", "--iso"),
    ("guest create", "--vcpus", "--cpus"), ("guest list", "-c", "--node"), ("guest start", "--connect", "--node"),
    ("guest list", "--json", "--format json"), ("guest attach", "--config", "--next-start"),
])  # fmt: skip
def test_an_option_of_another_program_has_one_of_ours(verb: str, typed: str, meant: str) -> None:
    assert option(verb, typed, known(verb)) == (meant, "")


@pytest.mark.parametrize(("verb", "typed", "said"), [
    ("guest create", "-n", "Type the name as it is"), ("guest create", "--import", "--volume"),
    ("guest create", "--os-variant", "--windows"), ("guest list", "--all", "Leave it out"),
    ("guest delete", "--nvram", "--keep-disks"), ("guest delete", "--remove-all-storage", "--keep-disks"),
    ("config get", "--connect", "behind the verb"),
])  # fmt: skip
def test_what_needs_no_option_here_is_said(verb: str, typed: str, said: str) -> None:
    ours, told = option(verb, typed, known(verb))
    assert (ours, said in told) == ("", True)


def test_an_option_that_a_verb_has_not_is_not_named() -> None:
    assert option("guest start", "--ram", known("guest start")) == ("", "")
    assert option("guest create", "--all", known("guest create")) == ("", "")


def test_every_option_of_ours_is_one_of_a_verb() -> None:
    there = {name for row in VERBS.rows for name in known(row.name)}
    assert {one.partition(" ")[0] for one in OPTIONS.values()} <= there
    told = {word.strip(".,;") for _, said in LEFT_OUT.values() for word in said.split() if word.startswith("--")}
    assert told <= there


@pytest.mark.parametrize(("group", "word", "said"), [
    ("guest", "migrate", "no verb moves a guest"), ("", "migrate", "no verb moves a guest"),
    ("guest", "resize", '"volume resize"'),
])  # fmt: skip
def test_what_is_no_verb_of_one_word_is_said(group: str, word: str, said: str) -> None:
    assert said in absent(group, word, VERBS)
    assert absent("volume", word, VERBS) == absent(group, word, BUILT_IN) == ""
    assert all(VERBS.find(verb) for _, _, needed in ABSENT.values() for verb in needed)


@pytest.mark.parametrize(("word", "meant"), [
    ("vm", "guest list"), ("vms", "guest list"), ("pools", "pool list"), ("image", "template list"), ("xyz", ""),
])  # fmt: skip
def test_what_is_listed_elsewhere_by_its_noun_has_a_verb(word: str, meant: str) -> None:
    assert listed(word, VERBS) == meant


def test_they_are_said_where_the_command_line_is_refused(run) -> None:
    shown = run("node", "show", "-n", "local")
    assert (shown.status, "There is no option '-n'. Type the name as it is" in shown.err) == (2, True)
    shown = run("node", "list", "--json")
    assert 'There is no option \'--json\'; did you mean "--format json"?' in shown.err
    shown = run("list", "nodes")
    assert (shown.status, 'did you mean "node list"?' in shown.err) == (2, True)
    shown = run("-c", "qemu:///system", "list")
    assert (shown.status, "with --node" in shown.err) == (2, True)
