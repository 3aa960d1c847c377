"""The JSON of the verbs of plugins has its pages: every verb, every key that was really written, its meaning."""

from __future__ import annotations

import io
from functools import cache

import pytest
from json_page import PLACE, known, page, pages, place_of
from reference import SHIPPED

from vfioctl.cli.render.output import Output
from vfioctl.result import Result
from vfioctl.verbs.row import Row

HELPS = {row.name: row.help for row in SHIPPED.rows}
KEYS = [(verb, path) for verbs in pages().values() for verb, one in verbs.items() for path in one["keys"]]


@cache
def meanings() -> dict[str, dict[str, str]]:
    return known()


def test_every_verb_of_a_plugin_is_on_one_page() -> None:
    recorded = [verb for verbs in pages().values() for verb in verbs]
    assert sorted(recorded) == sorted(row.name for row in SHIPPED.rows if not row.hidden)


@pytest.mark.parametrize("verb", sorted(HELPS))
def test_every_key_of_a_verb_has_a_meaning(verb: str) -> None:
    assert [path for of, path in KEYS if of == verb and not _is_known(verb, path)] == []


def _is_known(verb: str, path: str) -> bool:
    try:
        table, end = place_of(verb, path, meanings())
    except StopIteration:
        return False
    return meanings()[table][end].endswith(".")


@pytest.mark.parametrize("row", [row for row in SHIPPED.rows if row.view and not row.hidden], ids=lambda row: row.name)
def test_every_view_makes_text_of_what_its_verb_really_wrote(row: Row) -> None:
    examples = {verb: one["example"] for verbs in pages().values() for verb, one in verbs.items()}
    out, err = io.StringIO(), io.StringIO()
    Output("text", out, err).result(Result(data=examples[row.name]), row)
    assert err.getvalue() == ""


def test_no_meaning_is_left_of_a_key_that_is_not_written_any_more() -> None:
    used = {place_of(verb, path, meanings()) for verb, path in KEYS if _is_known(verb, path)}
    assert {(table, end) for table, ends in meanings().items() for end in ends} - used == set()


@pytest.mark.parametrize("name", pages())
def test_the_committed_page_is_the_generated_one(name: str, request: pytest.FixtureRequest) -> None:
    file, verbs = PLACE / f"{name}.md", pages()[name]
    text = page(name, verbs, HELPS)
    if request.config.getoption("--regenerate"):
        file.write_text(text)
    assert file.read_text() == text, f"{file.name} differs; look at it, then: pytest tests/contract --regenerate"
    assert len(text.splitlines()) < 400, "make two tests of the one that records it"


def test_there_is_no_page_besides() -> None:
    assert {file.stem for file in PLACE.glob("*.md")} == set(pages())
