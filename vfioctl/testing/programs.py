"""The programs of the simulated machine: small sh stubs that ask the machine, and links to harmless real ones."""

from __future__ import annotations

import os
import shutil
from functools import cache

SIMULATED = (
    "systemctl", "loginctl", "busctl", "systemd-run", "systemd-inhibit", "modprobe", "rmmod", "lsmod", "modinfo",
    "docker", "podman", "runuser", "udevadm", "kill", "wall", "chvt", "logger", "notify-send", "restorecon",
)  # fmt: skip
REAL = (
    "sh", "dash", "bash", "awk", "basename", "cat", "chmod", "chown", "cp", "cut", "date", "dd", "dirname", "echo",
    "env", "expr", "false", "flock", "grep", "head", "id", "ln", "ls", "mkdir", "mktemp", "mv", "od", "printf", "ps",
    "qemu-img", "readlink", "realpath", "rm", "rmdir", "sed", "seq", "setsid", "sleep", "sort", "stat", "sync", "tail",
    "tee", "test", "timeout", "touch", "tr", "true", "uname", "uniq", "wc", "xargs",
)  # fmt: skip
SEARCH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

STUB = """#!/bin/sh
# A program of the simulated machine: sends its name, pid and arguments, and does what the answer says.
printf '%s\\0' '{name}' "$$" "$@" > '{root}/.machine/kit/call' || exit 127
. '{root}/.machine/kit/call'
"""


def install(root: str) -> None:
    """Put every program into ROOT/usr/bin, and make the other directories of PATH."""
    for place in ("usr/local/sbin", "usr/local/bin", "usr/sbin", "usr/bin"):
        os.makedirs(os.path.join(root, place), exist_ok=True)
    for name in ("sbin", "bin"):
        link(f"usr/{name}", os.path.join(root, name))
    for name in REAL:
        if found := _real(name):
            link(found, os.path.join(root, "usr/bin", name))
    for name in SIMULATED:
        install_stub(root, name)


@cache
def _real(name: str) -> str | None:
    """Where this computer has the program."""
    return shutil.which(name, path=SEARCH)


def install_stub(root: str, name: str) -> None:
    """Put the program `name` there, or back there."""
    path = os.path.join(root, "usr/bin", name)
    with open(path, "w", encoding="utf-8") as file:
        file.write(STUB.format(root=root.replace("'", "'\\''"), name=name))
    os.chmod(path, 0o755)


def remove(root: str, name: str) -> None:
    """Uninstall a program: calling it gives "not found"."""
    os.unlink(os.path.join(root, "usr/bin", name))


def link(target: str, path: str) -> None:
    if not os.path.lexists(path):
        os.symlink(target, path)
