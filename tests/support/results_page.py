"""Writes the page of results of contrib/test.sh --all: one section a commit, which joins the parts of its runs.

`python results_page.py PAGE COMMIT ROWS`: ROWS has a line for each thing that ran, the fields of `Row` between bars.
"""

from __future__ import annotations

import datetime as dt
import os
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

HEAD = """# Results of contrib/test.sh --all

Written by that script only, newest first. The whole is Debian 12 in all rings, and Debian 13 in rings 1 and 2 and with
the smoke of ring 3; parts of it (`--part N/M`) that ran on one commit are joined here. Ring 3 has [a page of its
own](lab-results.md).
"""
TITLE = re.compile(r"^## (?P<date>[\d-]+), commit (?P<commit>\S+)$", re.MULTILINE)
COLUMNS = ("Debian", "ring", "tests", "part", "passed", "failed", "skipped", "seconds")
WHOLE = "1/1"
SHARE = "share"
NONE = "-"  # the tests of a row that could not run


@dataclass(frozen=True, slots=True)
class Row:
    """What one run of the script counted for some tests of one ring on one Debian."""

    debian: str
    ring: str
    tests: str
    part: str  # N/M, or "share" of what never runs whole
    passed: int
    failed: int
    skipped: int
    seconds: int

    @property
    def what(self) -> tuple[str, str, str, str]:
        """What another run of the same replaces."""
        return self.debian, self.ring, self.tests, self.part


def row(line: str) -> Row:
    debian, ring, tests, part, *counts = (field.strip() for field in line.strip().strip("|").split("|"))
    return Row(debian, ring, tests, part, *map(int, counts))


def joined(old: Iterable[Row], new: Iterable[Row]) -> list[Row]:
    """Those of both; a new one replaces the old one of the same part."""
    return sorted({each.what: each for each in (*old, *new)}.values(), key=lambda each: each.what)


def missing(rows: Sequence[Row]) -> list[str]:
    """The parts that belong to those that are there, and are not, in words."""
    found = {each.what for each in rows}
    wanted = {
        (debian, ring, tests, f"{number}/{part.partition('/')[2]}")
        for debian, ring, tests, part in found if part != SHARE and tests != NONE
        for number in range(1, int(part.partition("/")[2]) + 1)
    }  # fmt: skip
    return ["Debian {}, ring {}, {}, part {}".format(*what) for what in sorted(wanted - found)]


def section(date: str, commit: str, rows: Sequence[Row], computer: str) -> str:
    passed, failed, skipped, seconds = (sum(getattr(each, name) for each in rows) for name in COLUMNS[4:])
    absent = missing(rows)
    said = f"{passed} passed, {failed} failed, {skipped} skipped in {seconds} s {computer}."
    lines = [f"## {date}, commit {commit}", "", said, *(["", f"Not run: {'; '.join(absent)}."] if absent else []), ""]
    lines += [_line(COLUMNS), _line(["---"] * len(COLUMNS)), *(_line(astuple(each)) for each in rows)]
    return "\n".join(lines) + "\n"


def _line(fields: Iterable[object]) -> str:
    return f"| {' | '.join(map(str, fields))} |"


def added(page: str, commit: str, new: Sequence[Row], computer: str, date: str) -> str:
    """The text of the page with these rows: in the section of their commit, which comes first."""
    sections = _sections(page)
    old = [row(line) for line in sections.pop(commit, "").splitlines() if re.match(r"\| \d", line)]
    parts = [section(date, commit, joined(old, new), computer), *sections.values()]
    return "\n".join([HEAD, *(part.strip() + "\n" for part in parts)])


def _sections(page: str) -> dict[str, str]:
    """The text of each section by its commit, in the order of the page."""
    starts = list(TITLE.finditer(page))
    ends = [found.start() for found in starts[1:]] + [len(page)] * bool(starts)
    return {found["commit"]: page[found.start() : end] for found, end in zip(starts, ends, strict=True)}


def main(page: str, commit: str, rows: str) -> None:
    path = Path(page)
    new = [row(line) for line in Path(rows).read_text(encoding="utf-8").splitlines()]
    computer = f"on {os.cpu_count()} processors, Linux {os.uname().release}"
    old = path.read_text(encoding="utf-8") if path.exists() else ""
    path.write_text(added(old, commit, new, computer, f"{dt.datetime.now(dt.UTC):%Y-%m-%d}"), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
