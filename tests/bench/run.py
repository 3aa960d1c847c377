"""The benchmarks: `python tests/bench/run.py [--write] [CASE …]`, in an environment with vfioctl and its plugins.

Prints a row a figure; with --write also docs/reference/performance.md and figures.json, when every case was run.
"""

from __future__ import annotations

import argparse
import sys

import report
from cases import CASES, Row


def main() -> int:
    """0 when every figure is within its goal."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"of: {', '.join(CASES)}; all without")
    parser.add_argument("--write", action="store_true", help="keep the figures, and lower the ratchet")
    chosen = parser.parse_args()
    rows: list[Row] = []
    for name in chosen.cases or CASES:
        for row in CASES[name]():
            sys.stdout.write(report.line(row) + "\n")
            sys.stdout.flush()
            rows.append(row)
    if chosen.write and not chosen.cases:
        report.write(rows)
    return 0 if all(row.met for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
