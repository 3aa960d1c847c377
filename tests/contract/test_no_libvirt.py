"""The hook never calls libvirt: a daemon that waits for its hook can answer nothing, and both would hang."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from vfioctl.testing.host import FakeHost
from vfioctl.testing.scenarios import GPU, two_gpu

ROOT = Path(__file__).parents[2]
HOOK_PATH = ("host", "txn", "events", "plugin", "handoff", "config", "hook.py", "entry.py", "compose.py", "proc.py")
UNSEEN = ("libvirt", "vfioctl.virt", "vfioctl.cli")
XML = "<domain type='qemu'><name>win11</name><uuid>6e3b1a9e-0000-4000-8000-000000000001</uuid></domain>"
# What a process of the hook has imported when it ends, after it has said so on a file of its own.
PROBE = """
import atexit, json, sys
atexit.register(lambda: open(sys.argv[1], "w").write(json.dumps(sorted(sys.modules))))
from vfioctl.testing.entry import main
sys.exit(main(sys.argv[2:]))
"""


def imports_of(path: Path) -> set[str]:
    """The top-level packages that a source file imports anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found


def sources() -> list[Path]:
    places = [ROOT / "vfioctl" / part for part in HOOK_PATH]
    core = [path for place in places for path in ([place] if place.is_file() else sorted(place.rglob("*.py")))]
    return [*core, *ROOT.glob("plugins/*/vfioctl_*/**/*.py")]


def test_no_source_of_the_hook_path_or_of_a_plugin_imports_libvirt() -> None:
    assert len(sources()) > 50
    assert [str(path) for path in sources() if "libvirt" in imports_of(path)] == []


@pytest.mark.parametrize("fake_host", [two_gpu(logged_in=False)], indirect=True)
def test_a_whole_hand_off_loads_no_libvirt(fake_host: FakeHost, tmp_path: Path) -> None:
    Path(fake_host.paths.guest_config("win11")).write_text(f'devices = ["{GPU}"]\n')
    loaded: dict[str, list[str]] = {}
    for operation in ("prepare", "started", "reconnect", "release"):
        said = tmp_path / operation
        words = ("hook", "win11", operation, "end" if operation == "release" else "begin", "-")
        done = subprocess.run(
            [sys.executable, "-I", "-c", PROBE, str(said), "--root", fake_host.root, *words], input=XML, text=True,
            capture_output=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        loaded[operation] = json.loads(said.read_text())
    assert "vfioctl.txn.engine" in loaded["prepare"]
    assert "vfioctl_nvidia.plugin" in loaded["prepare"]
    for operation, modules in loaded.items():
        assert [name for name in modules if name.startswith(UNSEEN)] == [], operation
