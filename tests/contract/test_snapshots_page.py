"""The table of docs/reference/snapshots.md is what the tests of ring 2 have recorded, and each row has a test."""

from __future__ import annotations

import re

import pytest
from proven import NOT_VERIFIED, ROWS, Row, record, recorded, table
from reference import ROOT

PAGE = ROOT / "docs/reference/snapshots.md"
TABLE = re.compile(r"(?<=<!-- proven -->\n).*(?=<!-- /proven -->)", re.DOTALL)


def test_the_table_is_what_was_recorded(request: pytest.FixtureRequest) -> None:
    wanted = f"\n{table()}\n\n"
    if request.config.getoption("--regenerate"):
        PAGE.write_text(TABLE.sub(lambda _: wanted, PAGE.read_text()))
    assert TABLE.findall(PAGE.read_text()) == [wanted], "look at it, then: pytest tests/contract --regenerate"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.operation} {row.guest} {row.firmware}")
def test_each_row_has_a_test_that_is_there(row: Row) -> None:
    for test in row.tests:
        file, function = test.split("[")[0].split("::")
        assert f"\ndef {function}(" in (ROOT / f"tests/libvirt/{file}.py").read_text()


def test_what_is_recorded_is_a_test_that_is_there() -> None:
    for node in {node.split("[")[0] for passed in recorded().values() for node in passed}:
        file, function = node.split("::")
        assert f"\ndef {function}(" in (ROOT / f"tests/libvirt/{file}.py").read_text(), "remove it from proven.json"


def test_a_row_is_proven_by_all_its_cases_only() -> None:
    row = Row("o", "g", "f", "works", ("a::test_x[bios-*-now]", "a::test_y"), count=3)
    assert not row.proven(["a::test_x[bios-1-now]", "a::test_x[bios-2-now]", "a::test_x[bios-3-now]"])
    assert not row.proven(["a::test_x[bios-1-now]", "a::test_y", "a::test_x[bios-2-later]", "a::test_yes"])
    assert row.proven(["a::test_x[bios-1-now]", "a::test_x[bios-2-now]", "a::test_y"])


def test_what_fails_is_proven_no_more(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("proven.RECORD", tmp_path / "proven.json")
    (tmp_path / "proven.json").write_text("{}\n")
    record("9.0", {"a::test_x", "a::test_y"}, ())
    record("11.3", {"a::test_x"}, ())
    record("9.0", (), {"a::test_y"})
    assert recorded() == {"9.0": ["a::test_x"], "11.3": ["a::test_x"]}
    assert NOT_VERIFIED in table()
