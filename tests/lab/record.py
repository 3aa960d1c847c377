"""The page of lab results: one dated section a run, newest first. Writes only that page."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from tests.lab.commands import output_of
from tests.lab.payload import CHECKOUT

if TYPE_CHECKING:
    from tests.lab.run import Result

HEAD = """# Lab results

Written by `contrib/test.sh` only (`--lab all`, `--all`, `--record`), newest first. What each scenario does is in
`tests/lab/scenarios/`; what the lab cannot say, in `tests/lab/README.md`. Seconds are wall time of an emulated machine,
many times slower than hardware.
"""
SHOWN = {"libvirt-daemon": "libvirt", "qemu-system-x86": "nested QEMU", "systemd": "systemd", "lightdm": "lightdm"}


def versions(lab_image: str) -> dict[str, str]:
    """What is real in it."""
    with open(os.path.join(lab_image, "versions"), encoding="utf-8") as file:
        stanzas = file.read().split("\n\n")
    fields = [dict(line.split(": ", 1) for line in part.splitlines() if ": " in line) for part in stanzas]
    installed = {each["Package"]: each["Version"] for each in fields if {"Package", "Version"} <= each.keys()}
    found = {"Debian": installed["base-files"].partition("+")[0].partition(".")[0]}
    with open(os.path.join(lab_image, "kernel-release"), encoding="ascii") as file:
        found["Linux"] = file.read().strip()
    found["QEMU"] = output_of(["qemu-system-x86_64", "--version"]).partition("\n")[0].rpartition("version ")[2]
    return found | {name: installed[package] for package, name in SHOWN.items()}


def commit() -> str:
    """The commit of the checkout, with "+changes" when tracked files differ from it; pages of results do not count."""
    git = ["git", "-c", f"safe.directory={CHECKOUT}", "-C", CHECKOUT]
    head = output_of([*git, "rev-parse", "--short=12", "HEAD"])
    if not head:
        return "unknown"
    changes = output_of([*git, "status", "--porcelain", "-uno", "--", ".", ":!docs/reference"])
    return head + ("+changes" if changes else "")


def section(results: Sequence[Result], commit: str, versions: Mapping[str, str]) -> str:
    failed = sum(result.verdict != "passed" for result in results)
    seconds = sum(result.seconds for result in results)
    real = "; ".join(f"{name} {version}" for name, version in versions.items())
    said = f"{len(results) - failed} passed, {failed} failed, {seconds:.0f} s"
    lines = [
        f"\n## {dt.datetime.now(dt.UTC):%Y-%m-%d %H:%M} UTC: {said}\n",
        f"Commit {commit}; {real}; {os.cpu_count()} processors outside, load average {os.getloadavg()[2]:.1f}.\n",
        "| scenario | verdict | seconds | checks | what |",
        "|---|---|---|---|---|",
    ]
    for result in results:
        name, title = result.scenario.name, result.scenario.title
        lines.append(f"| {name} | {result.verdict} | {result.seconds:.1f} | {len(result.checks)} | {title} |")
    times = [(result.scenario.name, *item) for result in results for item in result.times.items()]
    if times:
        lines += ["", "| scenario | part of it | seconds |", "|---|---|---|"]
        lines += [f"| {name} | {part} | {taken:.2f} |" for name, part, taken in times]
    return "\n".join(lines) + "\n"


def add(page: str, results: Sequence[Result], commit: str, versions: Mapping[str, str]) -> None:
    """Put a section for these results on top of the page."""
    old = ""
    if os.path.exists(page):
        with open(page, encoding="utf-8") as file:
            _, mark, rest = file.read().partition("\n## ")
        old = mark + rest
    os.makedirs(os.path.dirname(page) or ".", exist_ok=True)
    with open(page, "w", encoding="utf-8") as file:
        file.write(HEAD + section(results, commit, versions) + old)
