"""The figures as text: a line, the page docs/reference/performance.md, and figures.json with the ratchet."""

from __future__ import annotations

import json
import os
import platform
import string
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cases import FEW, MANY, ROUNDS, Row
from lab import page

HERE = Path(__file__).resolve().parent
FIGURES = HERE / "figures.json"
PAGE = HERE.parents[1] / "docs/reference/performance.md"
ROOM = 1.1  # the ratchet leaves this much above a figure: no two runs are alike
HEAD = """# Performance

The two sides of a comparison take turns, and what is compared are the medians of {rounds} rounds (prepare: {many};
guests that stop at once, lists, reverts of snapshots: {few}). `tests/bench/cases.py` says exactly what is run.

The verdict is by the clock on the wall, which libvirtd and its user wait by; it counts the simulated machine too, whose
files another process answers. Processor time stands beside it and in parentheses: that of a program and of all that it
waited for, not of the dead-man and the child that writes to the kernel, which it leaves behind.

| What | Goal | Clock | Processor | Verdict | Made of | Run |
|---|---|---|---|---|---|---|
"""
TAIL = """
Measured in these runs:

{runs}

The ratchet for `prepare` is {ratchet:.2f}: a later run may lower it and never raise it (`tests/bench/figures.json`).

The machine makes a difference where something is synced to a disk. On that of 2026-11-29 the engine took 49.5 ms, each
further function 14.2 ms (6.1 of the processor), `snapshot create` 158.9 ms and prepare 7.47 x (5.91 of the processor).
The code of 2026-11-28 and that of 2026-11-29, measured in turns on one machine, were equal within 3 % in prepare and in
each further function.

A hook calls programs only where systemd runs; "what programs add" is measured there, on a host whose card nobody
holds, with each program replaced by `true` and its answer taken from a recording. The cards of the rack have no host
driver, and are handed over all at once. The simulated /run is a tmpfs, as on every host; the rest lies on a disk. What
the test kit counts at each boundary of the journal is left out.

Half of a hook's time is the start of Python and its imports. So frozen classes are made without the standard library's
`dataclasses`, and what only some guests need is imported late; `tests/contract/test_startup.py` keeps it so. A hook
does not look for garbage and ends without taking the interpreter apart: 7 ms. What lies in /run is not synced, and one
child makes every read and write that may hang.

Snapshots, guests and volumes are those of a private libvirtd, with images on a tmpfs. Programs run in its tree, and
what starts them there is counted with them. A volume that is brought in is written by vfioctl, as its pool is on
this host; `virsh vol-upload` sends it through libvirt's stream, which is the way to another node.

Repeat it in an environment with vfioctl and its plugins, on a machine that does nothing else:

    python tests/bench/run.py                   # prints the table; needs root, FUSE, libvirtd, QEMU, libvirt-python
    python tests/bench/run.py --write           # and keeps it here
    python tests/bench/run.py --write doctor    # measures that case anew, and leaves the other rows as they are
"""


def line(row: Row) -> str:
    figures = f"goal {row.goal:4g} {row.unit:3} clock {row.measured:6.2f} processor {_processor(row)}"
    return f"{row.name:13} {figures}  {_verdict(row):6}  {row.detail}"


def _verdict(row: Row) -> str:
    return "met" if row.met else "missed"


def _processor(row: Row) -> str:
    if row.processor is None:
        return "-"
    goal = f" (≤ {row.most_processor:g})" if row.most_processor else ""
    return f"{row.processor:.2f} {row.unit}{goal}"


def write(rows: Iterable[Row]) -> None:
    """Keep `rows` beside those of other cases; the ratchet of prepare only goes down."""
    kept = json.loads(FIGURES.read_text(encoding="utf-8"))
    run = _run()
    figures = {**kept["figures"], **{row.name: {**_rounded(row), "run": run} for row in rows}}
    ratchet = round(min(kept["ratchet"], figures["prepare"]["measured"] * ROOM), 2)
    FIGURES.write_text(json.dumps({"ratchet": ratchet, "figures": figures}, indent=2) + "\n", encoding="utf-8")
    PAGE.write_text(_page(figures, ratchet) + page.kept(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


def _rounded(row: Row) -> dict[str, Any]:
    return {name: round(value, 2) if isinstance(value, float) else value for name, value in asdict(row).items()}


def _page(figures: Mapping[str, Mapping[str, Any]], ratchet: float) -> str:
    """The page but for the lab's section: a letter stands for each run, which is named below the table."""
    runs = dict(zip(dict.fromkeys(figure["run"] for figure in figures.values()), string.ascii_uppercase, strict=False))
    lines = (_line(figure, runs[figure["run"]]) for figure in figures.values())
    head = HEAD.format(rounds=ROUNDS, many=MANY, few=FEW)
    named = "\n".join(f"- {letter}: {run}." for run, letter in runs.items())
    return head + "".join(lines) + TAIL.format(ratchet=ratchet, runs=named)


def _line(figure: Mapping[str, Any], letter: str) -> str:
    row = Row(**{name: value for name, value in figure.items() if name != "run"})
    measured = f"{row.measured:.2f} {row.unit} | {_processor(row)} | {_verdict(row)} | {row.detail}"
    return f"| {row.what} | ≤ {row.goal:g} {row.unit} | {measured} | {letter} |\n"


def _run() -> str:
    """When and on what it is measured."""
    on = f"{_machine()}, Linux {platform.release()}, Python {platform.python_version()}"
    return f"{time.strftime('%Y-%m-%d')} on {on}, load {os.getloadavg()[0]:.1f}"


def _machine() -> str:
    for text in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if text.startswith("model name"):
            return f"{os.cpu_count()} x {text.partition(':')[2].strip()}"
    return f"{os.cpu_count()} x {platform.machine()}"
