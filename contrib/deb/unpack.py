"""Unpacks wheels as an installer does: python3 unpack.py LIST SITE DATA, where LIST has a file name in each line.

Modules go to SITE, what belongs beside them (*.data/data) to DATA. Only wheels of pure Python are taken.
"""

from __future__ import annotations

import shutil
import sys
import zipfile
from pathlib import Path


def main(listed: Path, site: Path, data: Path) -> None:
    for wheel in map(Path, listed.read_text().splitlines()):
        if not wheel.name.endswith("-py3-none-any.whl"):
            raise SystemExit(f"{wheel} is not pure Python.")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(site)
        for beside in site.glob("*.data"):
            shutil.copytree(beside / "data", data, dirs_exist_ok=True)
            shutil.rmtree(beside)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
