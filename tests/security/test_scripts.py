"""What the scripts of a checkout write as root, they write where nobody else could put a link."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from vfioctl.ownership import writable_by_others

SCRIPT = Path(__file__).parents[2] / "contrib/test.sh"


def coverage_of(venv: Path) -> Path:
    """Runs the part of the script that prepares a measurement; returns the directory that it makes."""
    (part,) = re.findall(r"^ +data=\$venv/coverage\n.*?\nCONFIG\n", SCRIPT.read_text(), re.DOTALL | re.MULTILINE)
    before = f"set -u\numask 022\nvenv='{venv}'\nsite=/nowhere\n"
    subprocess.run(["sh", "-c", before + part], check=True)
    return venv / "coverage"


def test_the_settings_of_a_measurement_are_written_where_no_other_user_can_lay_a_link(place: Path, as_nobody):
    coverage = coverage_of(place)
    (data,) = re.findall(r"data_file = (.*)", (coverage / "config").read_text())
    parts = Path(data).parent

    def lay_links() -> list[str]:
        laid = []
        for directory in (place, coverage, parts):
            for name in ("config", "data", "new"):
                try:
                    (directory / name).symlink_to("/etc/passwd")
                    laid.append(str(directory))
                except OSError:
                    continue
        return sorted(set(laid))

    assert as_nobody(lay_links) == [str(parts)], "every user writes what it has measured there, and nothing else"
    assert writable_by_others(str(coverage / "config"), str(place)) is None
    assert [path for path in parts.iterdir() if not path.is_symlink()] == []


def test_what_is_put_together_from_all_measurements_is_not_written_among_them():
    text = SCRIPT.read_text()
    assert '--data-file="$data/data"' in text
    assert re.search(r'coverage" combine --quiet "\$@" "\$data/parts"', text)
