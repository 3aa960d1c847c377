"""Builds the stand-in kernel modules of this directory for the lab's kernel, and gathers what belongs to them.

Their names are those of real drivers, since programs go by the name; they are ours, and made for tests only.
"""

from __future__ import annotations

import glob
import os
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator, Sequence

from tests.lab.cache import contents, key
from tests.lab.errors import CannotRun, LabError

SOURCES = os.path.dirname(os.path.abspath(__file__))
COMPANIONS = ("nvidia-nodes", "nvidia-persistenced", "nvidia-persistenced.service", "70-standins.rules")
# Of a series with which unbinding one card is known to hang: plugins/vfioctl-nvidia, known_bad.py.
KNOWN_BAD = "595.58.03"
HEADERS = "linux-headers-amd64"  # those of the newest kernel, which is the lab's
DEADLINE = 300


def packages(kernel: str) -> tuple[str, ...]:
    """The Debian packages that building for `kernel` needs here."""
    return (f"linux-headers-{kernel}", "gcc", "make", "binutils")


def headers(kernel: str) -> str:
    return f"/lib/modules/{kernel}/build"


def built(cache: str, kernel: str, compiler: Callable[[], Sequence[str]] | None = None) -> str:
    """The directory with the modules (*.ko) and their companions; built once for a kernel and these sources.

    `compiler` gives what goes before a command so that it runs where that kernel's headers and a compiler are, if that
    is not here; the cache has to be there under the same name.
    """
    target = os.path.join(cache, f"standins-{key(kernel, *contents(SOURCES))}")
    if not os.path.isdir(target):
        within = compiler() if compiler else _here(kernel)
        part = f"{target}.part"
        shutil.rmtree(part, ignore_errors=True)
        os.makedirs(part)
        build(kernel, part, within)
        os.rename(part, target)
    return target


def _here(kernel: str) -> Sequence[str]:
    if not os.path.isdir(headers(kernel)):
        names = " ".join(packages(kernel))
        raise CannotRun(f"The headers of {kernel} are missing: apt-get install --no-install-recommends {names}")
    return ()


def build(kernel: str, target: str, within: Sequence[str]) -> None:
    """Compile everything into `target`; nvidia once more as nvidia-known-bad.ko, with a version of that table."""
    work = os.path.join(target, "build")
    shutil.copytree(SOURCES, work, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    for name in COMPANIONS:
        shutil.copy(os.path.join(SOURCES, name), target)
    make = [*within, "make", "-C", headers(kernel), f"M={work}"]
    _run([*make, "modules"])
    _take(glob.glob(f"{work}/*.ko"), target)
    _run([*make, f"NVIDIA_VERSION={KNOWN_BAD}", "modules"])
    os.rename(f"{work}/nvidia.ko", f"{work}/nvidia-known-bad.ko")
    _take([f"{work}/nvidia-known-bad.ko"], target)
    shutil.rmtree(work)


def _take(modules: Iterable[str], target: str) -> None:
    """Without debugging symbols: a tenth of the size."""
    for module in modules:
        _run(["strip", "--strip-debug", "-o", os.path.join(target, os.path.basename(module)), module])


def _run(argv: list[str]) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=DEADLINE)
    if done.returncode:
        raise LabError(f"{argv[0]} ended with status {done.returncode}.\n{done.stdout[-2000:]}{done.stderr[-4000:]}")


def kernels_with_headers() -> Iterator[str]:
    """The kernels that this computer could build for."""
    for place in sorted(glob.glob("/lib/modules/*/build")):
        if os.path.isdir(place):
            yield place.split("/")[3]
