"""The pages of results: parts of one commit are joined, and every commit on them is one of this history."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from results_page import Row, added, missing

ROOT = Path(__file__).parents[2]
PAGES = ("docs/reference/test-results.md", "docs/reference/lab-results.md")
FIRST = Row("12", "1", "unit", "1/2", 100, 0, 1, 60)
SECOND = Row("12", "1", "unit", "2/2", 90, 2, 0, 50)


def page(*rows: Row, commit: str = "abc", old: str = "") -> str:
    return added(old, commit, rows, "on 2 processors", "2026-01-02")


def test_the_parts_of_one_commit_are_one_section() -> None:
    text = page(SECOND, old=page(FIRST))
    assert text.count("## ") == 1
    assert "190 passed, 2 failed, 1 skipped in 110 s on 2 processors." in text
    assert "Not run" not in text


def test_a_part_that_has_not_run_is_named() -> None:
    assert "Not run: Debian 12, ring 1, unit, part 2/2." in page(FIRST)


def test_a_part_that_ran_again_replaces_the_first() -> None:
    text = page(Row("12", "1", "unit", "1/2", 101, 0, 0, 61), old=page(FIRST))
    assert "101 passed, 0 failed, 0 skipped" in text
    assert "| 100 |" not in text


@pytest.mark.parametrize("row", [("python3.12", "share", 9, 0, 0, 1), ("-", "1/4", 0, 0, 1, 0)])
def test_a_share_and_what_could_not_run_are_never_missing_a_part(row: tuple[str, str, int, int, int, int]) -> None:
    assert missing([Row("12", "1", *row)]) == []


def test_another_commit_is_a_section_above_and_older_ones_keep_their_words() -> None:
    old = "# Old head\n\n## 2025-01-01, commit fee\n\n5 passed.\n\n- ring 2, libvirt: 5 passed\n"
    text = page(SECOND, commit="def", old=page(FIRST, old=old))
    assert re.findall("commit (...)$", text, re.MULTILINE) == ["def", "abc", "fee"]
    assert text.endswith("5 passed.\n\n- ring 2, libvirt: 5 passed\n")
    assert "Old head" not in text


def git(*words: str) -> str:
    done = subprocess.run(
        ["git", "-c", f"safe.directory={ROOT}", "-C", str(ROOT), *words], capture_output=True, text=True, check=False
    )
    return done.stdout.strip() if done.returncode == 0 else ""


@pytest.mark.parametrize("name", PAGES)
def test_every_commit_on_the_page_is_one_of_this_history(name: str) -> None:
    if not (ROOT / ".git").exists() or git("rev-parse", "--is-shallow-repository") != "false":
        pytest.skip("there is no history here")
    commits = re.findall(r"\b[Cc]ommit ([0-9a-f]{7,40}\S*?)[;.]?\s", (ROOT / name).read_text())
    history = git("rev-list", "HEAD").split()
    assert commits, "the page names no commit"
    assert [short for short in commits if not any(full.startswith(short) for full in history)] == []
