"""The pages that a run of the lab writes: what is kept of the old text, what a row says."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench.lab import page
from tests.lab import record
from tests.lab.inside.scenario import Scenario
from tests.lab.run import Result

VERSIONS = {"Linux": "6.1.0", "QEMU": "7.2"}
WAY = {"name": "floor", "start": 1.0, "stop": 0.5, "both": 1.5, "home": 0.25, "what": "a script"}
GOAL = {"what": "vfioctl / floor", "goal": 1.2, "measured": 1.15, "unit": "x", "detail": "15 / 13"}
FIGURES = {"rounds": 10, "table": [WAY], "rows": [GOAL]}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    found = tmp_path / "page.md"
    found.write_text("# Performance\n\nFigures of one run.\n")
    return found


def test_the_figures_of_the_lab_follow_what_stands_on_the_page(file: Path) -> None:
    page.put(str(file), FIGURES, "abc", VERSIONS)
    text = file.read_text()
    assert text.startswith("# Performance\n\nFigures of one run.\n\n## In the lab\n")
    assert "| floor | 1.00 s | 0.50 s | 1.50 s | 0.25 s | a script |" in text
    assert "commit abc; Linux 6.1.0; QEMU 7.2." in text


def test_another_run_takes_the_place_of_the_first(file: Path) -> None:
    for commit in ("abc", "def"):
        page.put(str(file), FIGURES, commit, VERSIONS)
    assert file.read_text().count("## In the lab") == 1
    assert "commit def" in file.read_text()


@pytest.mark.parametrize(("measured", "verdict"), [(1.2, "met"), (1.21, "missed")])
def test_a_figure_says_whether_it_meets_its_goal(file: Path, measured: float, verdict: str) -> None:
    page.put(str(file), {**FIGURES, "rows": [{**GOAL, "measured": measured}]}, "abc", VERSIONS)
    assert f"| ≤ 1.2 x | {measured:.2f} x | {verdict} | 15 / 13 |" in file.read_text()


def test_whoever_writes_the_rest_anew_keeps_the_section(file: Path) -> None:
    page.put(str(file), FIGURES, "abc", VERSIONS)
    assert page.kept(file.read_text()) == file.read_text().removeprefix("# Performance\n\nFigures of one run.\n")
    assert page.kept("# Performance\n") == ""


def test_results_of_a_run_stand_above_those_of_the_last(tmp_path: Path) -> None:
    found = tmp_path / "lab.md"
    for verdict in ("failed", "passed"):
        result = Result(Scenario("smoke.facts", "Facts.", "facts"), verdict=verdict, seconds=8.5)
        record.add(str(found), [result], "abc", VERSIONS)
    text = found.read_text()
    assert text.count("# Lab results\n") == 1
    assert text.index("1 passed, 0 failed") < text.index("0 passed, 1 failed")
    assert "| smoke.facts | passed | 8.5 | 0 | Facts. |" in text
