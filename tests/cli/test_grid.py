"""Tables fit 80, 60 and 40 columns; nothing is dropped, and no word is broken."""

from __future__ import annotations

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from sample_plan import desktop_plan

from vfioctl.cli.render import plan
from vfioctl.cli.render.grid import LONGEST_WORD, Bar, Column, Grid, fitted
from vfioctl.cli.render.tables import table

COLUMNS = (Column("#", 2, right=True), Column("step", 18), Column("on", 24), Column("why"), Column("undo", 9))
words = st.text("abcdefghij:0123456789./-", min_size=1, max_size=LONGEST_WORD)
cells = st.lists(words, max_size=8).map(" ".join)
rows = st.lists(st.tuples(*[cells] * len(COLUMNS)), min_size=1, max_size=6)


def drawn(grid: Grid, width: int, *, color: bool = False) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=color, highlight=False,
                      color_system="standard" if color else None)  # fmt: skip
    console.print(grid)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def whole_words(text: str) -> set[str]:
    return set(text.split())


@settings(max_examples=100)  # each draws a whole table
@given(rows, st.sampled_from([40, 60, 80, 100, 200]))
def test_every_word_of_every_row_is_shown_whole_and_every_line_fits(found: list[tuple[str, ...]], width: int) -> None:
    shown = drawn(table(COLUMNS, found), width)
    room = width - len("   undo  ")  # of a row in lines
    wanted = {word for row in found for cell in row for word in cell.split() if len(word) <= room}
    assert wanted <= whole_words(shown)
    assert max(map(len, shown.split("\n"))) <= width


wide = st.text("ab設定é… ", max_size=12)


@settings(max_examples=200)
@given(found=st.lists(st.tuples(*[cells | wide] * len(COLUMNS)), min_size=1, max_size=6), head=st.booleans())
def test_what_is_drawn_without_rich_is_what_rich_draws(found: list[tuple[str, ...]], *, head: bool) -> None:
    made = table(COLUMNS, found, head=head)
    lines = made.lines(2000)
    if lines is not None:
        assert lines == [line.rstrip() for line in drawn(made, 2000).split("\n")[:-1]]


def test_rich_is_left_what_has_to_be_folded_and_what_has_bars() -> None:
    row = ("1", "a step", "0000:01:00.0", "why", "exact")
    assert table(COLUMNS, [row]).lines(100)
    assert table(COLUMNS, [(*row[:3], "x" * 2 * LONGEST_WORD, "exact")]).lines(100) is None
    assert table(COLUMNS, [row]).lines(20) is None
    assert table(COLUMNS, [(*row[:4], Bar(0, 1))]).lines(400) is None
    assert table(COLUMNS, []).lines(100) is None


def test_rows_of_a_few_lines_keep_the_title_of_what_names_them() -> None:
    row = ("1", "driver.bind", "0000:01:00.0", "the guest opens it", "exact")
    assert drawn(table(COLUMNS, [row]), 30).startswith("#  step\n1  driver.bind\n")
    assert drawn(table(COLUMNS, [row], head=False), 30).startswith("1  driver.bind\n")


@pytest.mark.parametrize("width", [40, 60, 80, 100])
def test_a_plan_says_at_every_width_what_libvirt_waits_for(width: int) -> None:
    shown = "".join(drawn(part, width) for part in plan.view(desktop_plan()) if isinstance(part, Grid))
    assert {"while", "libvirt", "waits", "after", "the", "hook"} <= whole_words(shown)


@pytest.mark.parametrize("width", [40, 60, 80, 100])
def test_a_plan_keeps_its_reasons_and_addresses_at_every_width(width: int) -> None:
    made = desktop_plan()
    shown = "".join(drawn(part, width) for part in plan.view(made) if isinstance(part, Grid))
    for step in made["plan"]["steps"]:
        assert set(step["reason"].split()) <= whole_words(shown)
    assert {"0000:01:00.0", "vfio-pci"} <= whole_words(shown)


def test_the_columns_of_two_tables_line_up_when_they_are_told_of_each_other() -> None:
    first, second = [("1", "a", "b", "c", "d")], [("2", "a long step", "b", "c", "d")]
    both = [*first, *second]
    lines = drawn(table(COLUMNS, first, like=both), 80) + drawn(table(COLUMNS, second, head=False, like=both), 80)
    ends = [line.index(" b ") for line in lines.split("\n") if " b " in line]
    assert len(set(ends)) == 1


def test_a_row_that_does_not_fit_becomes_its_name_and_a_line_a_column() -> None:
    columns = (Column("device", 13), Column("is", 22), Column("held by"))
    shown = drawn(table(columns, [("0000:01:00.0", "given to win11", "qemu-system-x86 (5000000)")]), 30)
    assert [line.rstrip() for line in shown.split("\n")] == [
        "device", "0000:01:00.0", "   is       given to win11", "   held by  qemu-system-x86",
        "            (5000000)", "",
    ]  # fmt: skip


def test_a_column_without_a_width_gives_way_first() -> None:
    row = ("1", "unit.stop", "graphical-session.target", "what belongs to the graphical session", "recreated")
    assert fitted(COLUMNS, [row], 70) == [1, 9, 24, 19, 9]


@pytest.mark.parametrize("width", [10, 34, 80])
def test_a_bar_fills_its_part_of_any_width_and_is_never_empty(width: int) -> None:
    assert Bar(0.0, 1.0).drawn(width) == "█" * width
    assert Bar(0.5, 0.5).drawn(width).strip() == "▏"
    assert len(Bar(1.0, 1.0).drawn(width)) == width


def test_a_state_has_its_colour_and_a_name_has_none() -> None:
    shown = drawn(table((Column("guest", 9), Column("state", 9)), [("failed-guest", "failed")]), 80, color=True)
    assert "\x1b[31mfailed\x1b[0m" in shown
    assert "\x1b[31mfailed-guest" not in shown
