"""An image of a hole, data, and a hole."""

from __future__ import annotations

import os
from pathlib import Path

SIZE = 1 << 20


def write(path: Path) -> None:
    with path.open("wb") as made:
        made.truncate(SIZE)
        made.seek(SIZE // 4)
        made.write(os.urandom(SIZE // 2))
