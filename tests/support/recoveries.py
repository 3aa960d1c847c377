"""The ways in which an interrupted hand-off is ended, each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from hand_offs import GUEST, Stage

import vfioctl
from vfioctl.testing.domains import UUID
from vfioctl.wait import until

PROCESSES_SECONDS = 5.0

# A process in which neither pluggy nor any plugin can be imported, as if they were not installed.
WITHOUT_PLUGINS = """
import sys

class Uninstalled:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "pluggy" or name.startswith("vfioctl_"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Uninstalled())
from vfioctl.testing.entry import main
sys.exit(main(sys.argv[1:]))
"""
# What undo.sh leaves for vfioctl itself: the marks, the journals and the holders; its log lies beside ours.
LEFT_BY_SH = (f"run/vfioctl/guests/{GUEST}", f"run/vfioctl/guests/{GUEST}/*", "run/vfioctl/resources/*",
              f"run/vfioctl/journal/{UUID}.jsonl*", f"var/lib/vfioctl/journal/{UUID}.jsonl")  # fmt: skip


def as_before(on: Stage, *allowed: str) -> None:
    """The machine is as it was, but for what the scenario and the caller declare; processes of a unit follow it."""
    until(lambda: not _waits_for_processes(on.differences(*allowed)), PROCESSES_SECONDS)
    lines = on.differences(*allowed)
    assert not lines, "\n".join(("what differs:", *lines))


def _waits_for_processes(lines: tuple[str, ...]) -> bool:
    """Whether nothing differs but what a unit starts after it has become active: the server, the greeter's session."""
    return bool(lines) and all(line.startswith(("process ", "session ")) for line in lines)


def recover(on: Stage) -> None:
    """`vfioctl recover` brings everything home; nothing else may be needed."""
    ended = on.command("recover")
    assert ended.returncode == 0, ended.stdout + ended.stderr


def recover_uninstalled(on: Stage) -> None:
    """`vfioctl recover` after the plugins, their manifest and the guest file have gone."""
    taken = (on.host.paths.manifest, on.host.paths.guest_config(GUEST))
    for file in taken:
        os.rename(file, f"{file}.taken")
    argv = [sys.executable, "-I", "-c", WITHOUT_PLUGINS, "--root", on.root, "recover"]
    ended = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60, cwd="/")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    for file in taken:
        os.rename(f"{file}.taken", file)


def run_undo_sh(on: Stage) -> None:
    """The rendered undo.sh brings the devices home under dash, in a place where no vfioctl is."""
    script = os.path.join(on.host.paths.guest_markers(GUEST), "undo.sh")
    ended = subprocess.run(
        hidden(["dash", script]), capture_output=True, text=True, check=False, timeout=60, cwd="/",
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"},
    )  # fmt: skip
    log = os.path.join(on.host.paths.log, f"undo-{UUID}.log")
    said = Path(log).read_text() if os.path.exists(log) else ""
    assert ended.returncode == 0, said + ended.stderr
    assert "FAILED" not in said


def hidden(argv: list[str]) -> list[str]:
    """`argv`, run where an empty directory covers our package and the virtual environment that runs this test."""
    covered = [os.path.dirname(vfioctl.__file__)]
    if sys.prefix != sys.base_prefix:
        covered.append(sys.prefix)
    mounts = "".join(f"mount -t tmpfs none {_quoted(place)} && " for place in covered)
    own = [] if os.getuid() == 0 else ["--map-root-user"]
    check = f"! test -e {_quoted(covered[0])}/entry.py && "
    return ["unshare", "--mount", *own, "sh", "-c", f'{mounts}{check}exec "$@"', "sh", *argv]


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
