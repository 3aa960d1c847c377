"""The pages of the reference that are made from the code are as the code makes them: generated, committed, compared."""

from __future__ import annotations

import pytest
from reference import PAGES, ROOT

REFERENCE = ROOT / "docs" / "reference"


@pytest.mark.parametrize("name", PAGES)
def test_the_committed_page_is_the_generated_one(name: str, request: pytest.FixtureRequest) -> None:
    page = REFERENCE / name
    if request.config.getoption("--regenerate"):
        page.write_text(PAGES[name]())
    assert page.read_text() == PAGES[name](), f"{name} differs; look at it, then: pytest tests/contract --regenerate"
