"""A plugin of a third party as a wheel, installed beside this core in an environment of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path


def run(*argv: str | Path, cwd: Path | None = None) -> str:
    ended = subprocess.run(
        [str(word) for word in argv], capture_output=True, text=True, check=False, cwd=cwd,
        env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    assert ended.returncode == 0, f"{ended.stdout}\n{ended.stderr}"
    return ended.stdout


def environment(place: Path, project: Path) -> Path:
    """The Python of an environment below `place`, in which this core and the built wheel of `project` are installed."""
    (place / "wheels").mkdir()
    pip = (sys.executable, "-m", "pip", "-q")
    run(*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", place / "wheels", project)
    venv.create(place / "venv", with_pip=False)
    python = place / "venv" / "bin" / "python"
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])").strip())
    here = run(sys.executable, "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])").strip()
    (site / "core.pth").write_text(f"import site; site.addsitedir({here!r})\n")
    wheel, = (place / "wheels").glob("*.whl")
    run(*pip, "--python", python, "install", "--no-deps", "--no-index", wheel)
    return python
