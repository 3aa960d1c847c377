"""What the lab has timed, as a section of docs/reference/performance.md. Writes only that section."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

HEADING = "\n## In the lab\n"
HEAD = """
One boot of the emulated machine of `tests/lab`, card and sound function on their own drivers and no desktop on them, a
nested guest without an operating system. The ways take turns; seconds are medians of {rounds} rounds, many times those
of hardware. The waits of the usual script, 15 s, are slept in the first turn and counted in the others.

Measured {date} on commit {commit}; {real}.

| Way | `virsh start` | `virsh destroy` | Both | Until the card is home | What it is |
|---|---|---|---|---|---|
"""
GOALS = """
| What | Goal | Measured | Verdict | Made of |
|---|---|---|---|---|
"""
TAIL = """
Where `virsh` is measured, the start and stop of QEMU under emulation are part of it: "guest alone" has nothing handed
over at all, and no way can be faster. Until the card is home counts from the end of `virsh destroy`.

What is missed is Python and systemd under emulation: an empty Python starts in 0.15 s there and in 0.01 s outside, the
imports of `prepare` take 0.4 s and those of `release` 0.2 s, each program that asks systemd for something 0.1 to 0.3 s.
The engine alone is in the first table.

Repeat it with `contrib/test.sh --lab bench`; it writes this section.
"""


def put(page: str, figures: Mapping[str, Any], commit: str, versions: Mapping[str, str]) -> None:
    """Replace the section in the file `page`, or add it; what stands before it stays."""
    with open(page, encoding="utf-8") as file:
        before = file.read().partition(HEADING)[0]
    real = "; ".join(f"{name} {version}" for name, version in versions.items())
    head = HEAD.format(rounds=figures["rounds"], date=f"{dt.datetime.now(dt.UTC):%Y-%m-%d}", commit=commit, real=real)
    lines = [*map(_way, figures["table"]), GOALS, *map(_row, figures["rows"])]
    with open(page, "w", encoding="utf-8") as file:
        file.write("".join([before, HEADING, head, *lines, TAIL]))


def kept(page: str) -> str:
    """The section as it stands in the text of the page, for whoever writes the rest of it anew."""
    _, heading, section = page.partition(HEADING)
    return heading + section


def _way(row: Mapping[str, Any]) -> str:
    seconds = " | ".join(f"{row[name]:.2f} s" for name in ("start", "stop", "both", "home"))
    return f"| {row['name']} | {seconds} | {row['what']} |\n"


def _row(row: Mapping[str, Any]) -> str:
    unit = row["unit"]
    verdict = "met" if row["measured"] <= row["goal"] else "missed"
    return (
        f"| {row['what']} | ≤ {row['goal']:g} {unit} | {row['measured']:.2f} {unit} | {verdict} | {row['detail']} |\n"
    )
