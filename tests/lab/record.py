"""The page of lab results: one dated section a run, newest first. Writes only that page."""

from __future__ import annotations

import os
import subprocess
from typing import Any

HEAD = """# Lab results

Written by `python -m tests.lab.smoke --record docs/reference/lab-results.md`, newest first. What each
check does stands in `tests/lab/inside/`; what this machine cannot say, in `tests/lab/README.md`. All times
are wall time in an emulated machine, many times slower than hardware.
"""


def commit(checkout: str) -> str:
    """The commit of the checkout, with "+changes" when tracked files differ from it."""
    git = ["git", "-c", f"safe.directory={checkout}", "-C", checkout]
    head = output_of([*git, "rev-parse", "--short=12", "HEAD"])
    if not head:
        return "unknown"
    return head + ("+changes" if output_of([*git, "status", "--porcelain", "-uno"]) else "")


def output_of(argv: list[str]) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=False).stdout.strip()


def section(result: dict[str, Any]) -> str:
    versions = "; ".join(f"{name} {version}" for name, version in result.get("versions", {}).items())
    load = f"{os.cpu_count()} processors outside, load average {result.get('load', 0):.1f} there"
    lines = [
        f"\n## {result['date']}: {result['scenario']}, {result['verdict']}, {result['seconds']} s\n",
        f"Commit {result['commit']}; {versions}; {load}.\n",
        "| check | verdict | seconds | |",
        "|---|---|---|---|",
    ]
    for check in result["checks"]:
        said = check["said"].replace("|", "\\|").replace("\n", " ")
        lines.append(f"| {check['name']} | {check['verdict']} | {check['seconds']:.2f} | {said} |")
    lines += table("time as seen by virsh", result.get("times", {}))
    lines += table("part of it in the steps of vfioctl", result.get("history", {}))
    return "\n".join(lines) + "\n"


def table(title: str, times: dict[str, float]) -> list[str]:
    """The lines of a table of seconds; none without any."""
    rows = [f"| {name} | {seconds:.2f} |" for name, seconds in times.items()]
    return ["", f"| {title} | seconds |", "|---|---|", *rows] if rows else []


def add(page: str, result: dict[str, Any]) -> None:
    """Put the section of `result` on top of the page."""
    old = ""
    if os.path.exists(page):
        with open(page, encoding="utf-8") as file:
            _, mark, rest = file.read().partition("\n## ")
        old = mark + rest
    os.makedirs(os.path.dirname(page) or ".", exist_ok=True)
    with open(page, "w", encoding="utf-8") as file:
        file.write(HEAD + section(result) + old)
