"""Files are opened in one place, vfioctl/files.py, where they are judged before. Who opens otherwise says why."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parents[2]
OPENERS = {("os", "open"), ("os", "fdopen"), ("io", "open"), ("", "open")}
METHODS = {"read_text", "read_bytes", "write_text", "write_bytes"}  # of pathlib; `files.read_text` is ours
ALLOWED = {
    "vfioctl/files.py": "the one place",
    "vfioctl/stdio.py": "standard streams and /dev/null",
    "vfioctl/log.py": "its directory is judged, and a log may neither raise nor wait",
    "vfioctl/proc.py": "/dev/null",
    "vfioctl/kernel_io.py": "kernel files, in a child that can be left behind",
    "vfioctl/host/readers.py": "kernel files, never waited for",
    "vfioctl/host/images.py": "a block device may be an image; in a child, judged before",
    "vfioctl/host/looks.py": "only to see that it answers; in a child, judged before",
    "vfioctl/host/exclusive.py": "the nodes of disks, in a child",
    "vfioctl/host/pools.py": "the nodes of disks, in a child",
    "vfioctl/host/fd_tables.py": "/proc/PID/maps, in a child",
    "vfioctl/setup/data.py": "templates that are part of the installed code",
    "vfioctl/cli/demo.py": "files of a directory that it made itself",
    "vfioctl/actions/domains.py": "the file that the user names with --xml, which may be a pipe",
    "vfioctl/actions/undo.py": "a stream over a descriptor of files.open_plain",
    "vfioctl/cli/lazy.py": "write_text is click's, of a help text",
    "vfioctl/cli/apart.py": "a stream over a descriptor of files.open_plain",
    "vfioctl/kinds/files/file_copy.py": "streams over descriptors of files.open_plain",
    "vfioctl/kinds/libvirt/filling.py": "a stream over a descriptor of files.open_plain",
    "vfioctl/kinds/files/directory_copy.py": "the directory that it has just made, to mark it",
    "plugins/vfioctl-guest/vfioctl_guest/whole_file.py": "a file that it makes itself, and no link",
    "plugins/vfioctl-guest/vfioctl_guest/copying/out.py": "a stream over a descriptor of whole_file",
    "plugins/vfioctl-guest/vfioctl_guest/commands/edit.py": "a stream over a descriptor of files.open_plain",
    "plugins/vfioctl-guest/vfioctl_guest/drawer.py": "a stream over a descriptor of whole_file",
    "plugins/vfioctl-guest/vfioctl_guest/past.py": "a stream over a descriptor of files.open_plain",
    "plugins/vfioctl-guest/vfioctl_guest/sources.py": "a stream over a descriptor of files.open_plain",
    "plugins/vfioctl-snapshot/vfioctl_snapshot/headers.py": "a stream over a descriptor of files.open_plain",
    "plugins/vfioctl-snapshot/vfioctl_snapshot/tpm.py": "a stream over a descriptor of files.open_plain",
    "plugins/vfioctl-snapshot/vfioctl_snapshot/commands/work.py": "a directory of ours, to lock it",
    "vfioctl/plugin/host_changes.py": "a stream over a descriptor of files.open_plain",
    "vfioctl/kinds/disks/locks.py": "an image, which may be a block device; never waited for",
    "vfioctl/kinds/files/former.py": "a stream over a descriptor of Place.open",
    "vfioctl/kinds/files/place.py": "names in a directory that is held open, judged as they are opened",
}


def sources() -> list[Path]:
    """Everything that runs on a user's machine; not the test kit."""
    found = [*HERE.glob("vfioctl/**/*.py"), *HERE.glob("plugins/*/vfioctl_*/**/*.py")]
    return sorted(path for path in found if "testing" not in path.relative_to(HERE).parts)


def openings(path: Path) -> Iterator[int]:
    """The lines in which something is opened."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and _opens(node.func):
            yield node.lineno


def _opens(function: ast.expr) -> bool:
    if isinstance(function, ast.Name):
        return ("", function.id) in OPENERS
    if not isinstance(function, ast.Attribute):
        return False
    owner = function.value.id if isinstance(function.value, ast.Name) else "?"
    return (owner, function.attr) in OPENERS or (function.attr in METHODS and owner not in ("files", "edit"))


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(HERE)))
def test_files_are_opened_where_they_are_judged(path: Path):
    if str(path.relative_to(HERE)) not in ALLOWED:
        assert list(openings(path)) == [], "read and open with vfioctl.files"


def test_every_exemption_is_needed():
    assert [name for name in ALLOWED if not list(openings(HERE / name))] == []
