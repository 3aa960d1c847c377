"""A bare tree of Debian, copied for each use, in which a package is installed, upgraded and removed as root would."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from wheel_set import script

from tests.lab import sources, tree
from tests.lab.cache import Cache
from tests.lab.errors import CannotRun, LabError

NEEDED = ("ca-certificates", "fuse3", "kmod", "python3", "python3-libvirt")  # by the package, inside.sh and the story
DEADLINE = 300.0
PATIENCE = 3.0
TOOLS = ("cp", "dpkg-deb", "mmdebstrap", "unshare")
OVERLAY = """
mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" "$2/root" || exit 125
shift 2
exec "$@"
"""
# Every path with type, mode and where it leads; not what dpkg and the system write down, whatever the package is.
LISTING = """
import json, os
MOUNTS = ("/tmp", "/run", "/proc", "/sys", "/dev", "/.computer")
RECORDS = ("/var/lib/dpkg", "/var/log", "/var/cache", "/etc/ld.so.cache", *MOUNTS)
found = {}
for base, directories, names in os.walk("/"):
    directories[:] = [name for name in directories if os.path.join(base, name) not in (*RECORDS, "__pycache__")]
    for path in (os.path.join(base, name) for name in (*directories, *names)):
        if path not in RECORDS and "__pycache__" not in path:
            found[path] = f"{os.lstat(path).st_mode:o} {os.readlink(path) if os.path.islink(path) else ''}"
print(json.dumps(found))
"""


@dataclass(frozen=True)
class Tree:
    """A Debian above the bare one in `base`: what is changed lies in `place`. `shared` is there under the same name."""

    base: Path
    place: Path
    shared: Path

    def run(self, *argv: str, status: int = 0) -> str:
        """What the command says on both streams, in the tree as root; it ends with `status`."""
        environ = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}
        above = ("unshare", "--mount", "--propagation=private", "sh", "-c", OVERLAY, "sh", self.base, self.place)
        ended = subprocess.run(
            [*above, *tree.inside(f"{self.place}/root", str(self.shared)), *argv], check=False, text=True, env=environ,
            timeout=DEADLINE, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        assert ended.returncode == status, ended.stdout
        return ended.stdout

    def copy(self, name: str) -> Tree:
        """The same tree once more, beside this one."""
        made = Tree(self.base, self.shared / name, self.shared)
        made.make()
        subprocess.run(["cp", "-a", f"{self.place}/upper/.", str(made.place / "upper")], check=True, timeout=DEADLINE)
        return made

    def make(self) -> None:
        for part in ("upper", "work", "root"):
            (self.place / part).mkdir(parents=True)

    def remove(self) -> None:
        shutil.rmtree(self.place)

    def write(self, path: str, text: str) -> None:
        self.run("sh", "-c", 'mkdir -p "${1%/*}" && printf %s "$2" >"$1"', "sh", path, text)

    def files(self) -> dict[str, str]:
        """Every path but the records of the system, with type, mode and where it leads."""
        found: dict[str, str] = json.loads(self.run("python3", "-c", LISTING))
        return found


def bare(debian: str, place: Path) -> Tree:
    """A bare tree of Debian `debian`, changed below `place`; skips where this computer can make none."""
    if why := _cannot():
        pytest.skip(why)
    cache = Cache(f"{os.environ.get('VFIOCTL_CACHE', '/var/lib/vfioctl-test')}/packages")
    try:
        with cache.locked(lambda: None):
            made = tree.of(cache, sources.suite_of(debian), NEEDED, PATIENCE)
    except (CannotRun, LabError) as error:
        pytest.skip(f"there is no tree of Debian {debian}: {error}")
    bare = Tree(Path(made), place / "bare", place)
    bare.make()
    try:
        bare.run("true")  # what inside.sh makes is there from now on
    except AssertionError as error:
        pytest.skip(f"a tree cannot be mounted above another one here: {error}")
    return bare


def _cannot() -> str:
    if os.geteuid() != 0:
        return "a tree of Debian needs root"
    missing = [tool for tool in TOOLS if not shutil.which(tool)]
    return f"not installed here: {', '.join(missing)}" if missing else ""


def build(wheels: Path, target: Path) -> Path:
    """The package that is made of the wheels."""
    ended = script("contrib/deb/build.sh", str(wheels), str(target))
    assert ended.returncode == 0, ended.stdout
    return Path(ended.stdout.strip().splitlines()[-1])


def newer(package: Path, version: str, place: Path) -> Path:
    """The same package as a later version of vfioctl."""
    subprocess.run(["dpkg-deb", "-R", str(package), str(place)], check=True)
    for name in ("DEBIAN/control", "opt/vfioctl/lib/python3/site-packages/vfioctl/__init__.py"):
        text = (place / name).read_text()
        assert "0.1.0" in text
        (place / name).write_text(text.replace("0.1.0", version))
    made = place.with_suffix(".deb")
    subprocess.run(["dpkg-deb", "--root-owner-group", "-Zgzip", "-b", str(place), str(made)], check=True,
                   stdout=subprocess.DEVNULL)  # fmt: skip
    return made
