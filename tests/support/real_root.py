"""A root directory in which real programs, of this machine or of unpacked packages, make boot menus of its files."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from boot_trees import BootTree

# All of it in a mount namespace of its own: nothing of it is to be seen outside, and it ends with the script.
SCRIPT = """
root=$1 lower=$2 work=$3 menu=$4; shift 4
mount --make-rprivate /
mount -t overlay overlay -o "lowerdir=$lower,upperdir=$work/upper,workdir=$work/scratch" "$root/usr"
[ ! -e "$work/grub-probe" ] || cp "$work/grub-probe" "$root/usr/sbin/grub-probe"
mkdir -p "$root/dev"; : >"$root/dev/null"; mount --bind /dev/null "$root/dev/null"
mkdir "$work/before" "$work/after" "$work/back"
chroot "$root" /bin/sh -ec "$MAKE"
cp -r "$root$menu" "$work/before"
"$@" setup --yes
cp -r "$root$menu" "$work/after"
eval "$RESTART"
"$@" setup --undo --yes
cp -r "$root$menu" "$work/back"
"""


def furnish(tree: BootTree) -> None:
    """Take the played programs out of the tree, and let it look like a merged /usr."""
    for program in (tree.root / "usr/sbin").iterdir():
        program.unlink()
    (tree.root / "tmp").mkdir()
    for name in ("bin", "sbin", "lib", "lib64"):
        (tree.root / name).symlink_to(f"usr/{name}")


def set_up_and_undo(
    tree: BootTree, work: Path, packages: Path, menu: str, make: str, *, restart: str = ":"
) -> dict[str, dict[str, str]]:
    """The files of the menu at the path `menu`: before `vfioctl setup`, after it, and after its undo.

    `make` is the command that made the menu first, `restart` what plays a restart of the host at $root before the undo.
    """
    for name in ("upper", "scratch"):
        (work / name).mkdir()
    lower = "/usr" if packages == Path("/") else f"{packages}/usr:/usr"
    argv = ["unshare", "-m", "sh", "-ec", SCRIPT, "sh", tree.root, lower, work, menu, sys.executable, "-I", "-m",
            "vfioctl.entry", "--root", tree.root]  # fmt: skip
    ended = subprocess.run(
        argv, capture_output=True, text=True, check=False, timeout=100, cwd="/",
        env={**os.environ, "MAKE": make, "RESTART": restart},
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return {name: _texts(work / name) for name in ("before", "after", "back")}


def _texts(place: Path) -> dict[str, str]:
    return {str(path.relative_to(place)): path.read_text() for path in place.rglob("*") if path.is_file()}
