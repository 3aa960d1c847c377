"""Further files of /sys and /proc/sys that keep what is written to them, as a machine's spec lists them."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from vfioctl.testing.kernel.nodes import Attribute, Directory

if TYPE_CHECKING:
    from vfioctl.testing.kernel.core import Kernel


def fill_settings(kernel: Kernel) -> None:
    """Make each of them."""
    for path, value in kernel.spec.settings:
        _setting(kernel, path, value)


def _setting(kernel: Kernel, path: str, value: str) -> None:
    said = [value]

    def store(text: str) -> None:
        said[0] = text.strip("\n")

    _directory(kernel, posixpath.dirname(path)).add(
        posixpath.basename(path), Attribute(lambda: f"{said[0]}\n", store))


def _directory(kernel: Kernel, path: str) -> Directory:
    """Raises ValueError for a file that is not below /sys or /proc/sys."""
    top, _, rest = path.lstrip("/").partition("/")
    if top == "sys" and rest:
        return kernel.sys.directory(rest)
    if top == "proc" and rest.startswith("sys/"):
        return kernel.proc.directory(rest)
    raise ValueError(f"{path} is not below /sys or /proc/sys")
