"""An installation on an empty root, whose interpreter is a script that writes down how it was called."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from vfioctl.compose import Composition
from vfioctl.paths import Paths
from vfioctl.proc import Programs

RECORDER = """\
#!/bin/sh
printf '%s\\n' "$@" >>"{calls}"
env >"{calls}.env"
cat >"{calls}.stdin"
[ ! -e "{calls}.do" ] || . "{calls}.do"
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A host with libvirt's directories and nothing else; its path needs quoting."""
    root = tmp_path / "it's a root"
    for place in ("etc/libvirt/hooks", "usr/bin", "proc", "run"):
        (root / place).mkdir(parents=True)
    return root


@pytest.fixture
def open_to_all(root: Path) -> Path:
    """The root, with every directory of the test run above it open: pytest makes them for its own user alone."""
    for directory in (root, *root.parents):
        if str(directory) in (tempfile.gettempdir(), "/"):
            break
        directory.chmod(0o755)
    return root


@pytest.fixture
def calls(tmp_path: Path) -> Path:
    """The file that tells, a word a line, how the interpreter was called; beside it its environment and stdin."""
    return tmp_path / "calls"


@pytest.fixture
def composition(root: Path, calls: Path, tmp_path: Path) -> Composition:
    """An installation below `root`; a script `calls`.do is run by its interpreter."""
    python = tmp_path / "the python"
    python.write_text(RECORDER.format(calls=calls))
    python.chmod(0o755)
    paths = Paths(str(root))
    return Composition(paths, Programs(paths.programs), (str(python), "-I", "-m", "vfioctl.paths", "--root", str(root)))


@pytest.fixture
def put_program(root: Path):
    """Installs a program on the host: a sh script below usr/bin."""

    def put(name: str, body: str) -> None:
        path = root / "usr/bin" / name
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)

    return put
