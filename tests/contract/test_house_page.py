"""The picture of the house is the one that the imports draw, and no two rooms import each other."""

from __future__ import annotations

import re

import pytest
from house import arrows, below, picture, rooms
from reference import ROOT

PAGE = ROOT / "docs/explanation/house.md"
PICTURE = re.compile(r"(?<=<!-- picture -->\n).*(?=<!-- /picture -->)", re.DOTALL)


@pytest.mark.parametrize("room", sorted(rooms()))
def test_no_room_stands_on_itself(room: str) -> None:
    assert room not in below(room)


def test_the_picture_is_drawn_from_the_imports(request: pytest.FixtureRequest) -> None:
    drawn = f"\n```mermaid\n{picture()}\n```\n\n"
    if request.config.getoption("--regenerate"):
        PAGE.write_text(PICTURE.sub(drawn, PAGE.read_text()))
    assert PICTURE.findall(PAGE.read_text()) == [drawn], "look at it, then: pytest tests/contract --regenerate"


def test_every_room_has_its_row() -> None:
    text = PAGE.read_text()
    rows = {name.strip("` ") for row in re.findall(r"^\| ([^|]+) \|", text, re.MULTILINE) for name in row.split(",")}
    assert arrows().keys() <= rows
