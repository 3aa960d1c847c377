"""Names: what a template makes is recognised again, and nothing else is."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from vfioctl_snapshot.naming import name_at, outdated, stamp_of, template_problem

WORDS = st.text(st.sampled_from("abcXYZ019._-"), max_size=10)
STAMPS = st.sampled_from([("{date}", "{time}"), ("{time}", "{date}")])
TEMPLATES = st.builds(
    lambda words, stamps: f"{words[0]}{stamps[0]}{words[1]}{stamps[1]}{words[2]}",
    st.tuples(WORDS, WORDS, WORDS), STAMPS,
).filter(lambda template: not template_problem(template))  # fmt: skip


@given(TEMPLATES, st.integers(0, 4_000_000_000))
def test_every_name_that_a_template_makes_is_recognised(template, when):
    stamp = stamp_of(template, name_at(template, when))
    assert stamp is not None
    assert len(stamp[0] + stamp[1]) == 14


@given(TEMPLATES, st.integers(0, 4_000_000_000), st.integers(0, 2**32 - 1))
def test_the_id_of_a_start_at_its_end_changes_nothing(template, when, operation):
    name = name_at(template, when)
    assert stamp_of(template, f"{name}-{operation:08x}") == stamp_of(template, name)


@given(TEMPLATES, st.lists(st.integers(0, 4_000_000_000), min_size=1, max_size=6, unique=True), st.integers(1, 4))
def test_the_newest_are_kept_whatever_the_order_of_the_list(template, times, keep):
    names = {name_at(template, when): when for when in times}
    newest = sorted(names, key=lambda name: names[name])[-keep:]
    assert set(outdated(template, tuple(names), keep)) == set(names) - set(newest)


@given(TEMPLATES, st.text(max_size=30))
def test_a_name_that_is_not_ours_is_never_outdated(template, name):
    assert stamp_of(template, name) is not None or outdated(template, (name, name + "x"), 1) == ()


def test_dots_in_a_template_are_dots():
    assert stamp_of("a.{date}{time}", "ab20261121101530") is None
