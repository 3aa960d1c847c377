"""The benchmarks: `python tests/bench/run.py [--write] [CASE …]`, in an environment with vfioctl and its plugins.

Prints a row a figure; --write keeps them in figures.json and docs/reference/performance.md. All take several minutes,
and mean something on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator

import report
from cases import CASES, Row, missing

IDLE = 0.5  # load above which figures are worth little


def main() -> int:
    """0 when every figure is within its goal."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"of: {', '.join(CASES)}; all without")
    parser.add_argument("--write", action="store_true", help="keep the figures, and lower the ratchet")
    chosen = parser.parse_args()
    names = chosen.cases or list(CASES)
    if why := missing(names):  # before minutes are spent on the others
        parser.error(why)
    if (load := os.getloadavg()[0]) > IDLE:
        sys.stderr.write(f"The load of this machine is {load:.1f}: what others do is measured too.\n")
    rows = [row for name in names for row in _rows(name)]
    if chosen.write:
        report.write(rows)
    return 0 if all(row.met for row in rows) else 1


def _rows(name: str) -> Iterator[Row]:
    """The rows of the case `name`, each shown as it comes, and how long the case took."""
    began = time.monotonic()
    for row in CASES[name]():
        sys.stdout.write(report.line(row) + "\n")
        sys.stdout.flush()
        yield row
    sys.stderr.write(f"{name}: {time.monotonic() - began:.0f} s\n")


if __name__ == "__main__":
    sys.exit(main())
