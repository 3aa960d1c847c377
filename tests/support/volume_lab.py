"""A private libvirtd with the pool `fast`, on which `vfioctl volume` is run as a user runs it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import snapshot_lab

PLACE = "/var/lib/libvirt/images"
POOL = f"{PLACE}/fast"
MEMBERS = 1  # the group daemon, whose members may ask the private libvirtd


def prepared(lab: Any, place: Path) -> Any:
    """The host, whose group daemon may ask the private libvirtd."""
    lab.let_members_ask()
    place.chmod(0o755)
    lab.start()
    return snapshot_lab.SnapshotLab(lab, place)


@contextmanager
def small_pool(host: Any, place: Path) -> Iterator[str]:
    """The directory of the pool `small`, a file system of 16 MiB on a loop device whose image is in `place`."""
    image, path = place / "small.ext4", f"{PLACE}/small"
    subprocess.run(["truncate", "-s", "16M", str(image)], check=True)
    subprocess.run(["mkfs.ext4", "-q", str(image)], check=True)
    loop = subprocess.run(["losetup", "--show", "-f", str(image)], check=True, capture_output=True, text=True)
    seen = f"{host.tree}{path}"  # the daemon mounts it in its namespace, and not where vfioctl runs
    try:
        host.said("pool", "create", "small", "--path", path, "--device", loop.stdout.strip())
        subprocess.run(host.lab.inside("mount", loop.stdout.strip(), seen), check=True)
        yield path
    finally:
        subprocess.run(host.lab.inside("umount", seen), check=False)
        host.lab.virsh("pool-destroy", "small", check=False)
        host.lab.virsh("pool-undefine", "small", check=False)
        subprocess.run(["losetup", "-d", loop.stdout.strip()], check=True)


@contextmanager
def qemu_img(on: Volumes, script: str) -> Iterator[None]:
    """`script` is qemu-img until the end of the block; the real one is /var/qemu-img."""
    on.host.must("sh", "-c", "cp $(command -v qemu-img) /var/qemu-img; rm -f /var/copied /var/go")
    program = on.host.place / "qemu-img"
    program.write_text(script)
    program.chmod(0o755)
    on.host.must("mount", "--bind", str(program), "/usr/bin/qemu-img")
    try:
        yield
    finally:
        on.host.must("touch", "/var/go")
        on.host.must("umount", "-l", "/usr/bin/qemu-img")  # one that was left behind has it open


class Volumes:
    """A pool `fast`, and guests with disks in it; all of them go in the end."""

    def __init__(self, host: Any) -> None:
        self.host = host
        assert host.cli("pool", "create", "fast", "--path", POOL).returncode == 0

    def cli(self, *argv: str, status: int = 0) -> str:
        """`vfioctl volume ARGV`, which ends with `status`; what it says."""
        ended = self.host.cli("volume", *argv)
        assert ended.returncode == status, ended.stdout + ended.stderr
        return str(ended.stdout + ended.stderr)

    def data(self, *argv: str) -> Any:
        ended = self.host.cli("volume", *argv, "--format", "json")
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return json.loads(ended.stdout)["data"]

    def refused(self, code: str, *argv: str) -> str:
        """The same, refused with `code` and nothing changed."""
        before = self.files()
        said = self.cli(*argv, "--format", "json", status=3)
        assert f'"{code}"' in said, said
        assert self.files() == before
        return said

    def files(self) -> str:
        """Every file in the pool, with its size and when it was written to."""
        return str(self.host.must("find", POOL, "-type", "f", "-printf", "%f %s %T@\n"))

    def names(self) -> list[str]:
        return [row["name"] for row in self.data("list", "fast")["volumes"]]

    def guest(self, volume: str, *, start: bool = False) -> Any:
        made = snapshot_lab.Guest(self.host)
        self.host.must("rm", *made.sources.values())
        made.define({"vda": (f"{POOL}/{volume}", "qcow2")})
        if start:
            self.host.lab.virsh("start", made.name)
        return made

    def killed(self, number: int, *argv: str) -> None:
        self.host.must("sh", "-c", f"rm -f /.kit/*; echo '{number} 9' > /.kit/crash")
        self.host.cli("volume", *argv)
        self.host.must("sh", "-c", "rm -f /.kit/*")

    def remove(self) -> None:
        virsh = self.host.lab.virsh
        for name in virsh("list", "--all", "--name").stdout.split():
            virsh("destroy", name, check=False)
            virsh("undefine", name, "--managed-save", "--snapshots-metadata")
        virsh("pool-destroy", "fast", check=False)
        virsh("pool-undefine", "fast", check=False)
        self.host.must("sh", "-c", f"rm -rf {PLACE}/*")
