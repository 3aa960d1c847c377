"""A pool and its templates on a private libvirtd, on which `vfioctl` is run as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import volume_lab
from volume_lab import PLACE

SOURCE = "/var/lib/libvirt/source.qcow2"


def prepared(lab: Any, place: Path) -> Any:
    """The host, its daemon started, with an image outside of every pool."""
    made = volume_lab.prepared(lab, place)
    made.must("qemu-img", "create", "-q", "-f", "qcow2", SOURCE, "8M")
    made.must("qemu-io", "-f", "qcow2", "-c", "write -P 7 1M 1M", SOURCE)
    made.must("chmod", "0644", SOURCE)
    return made


class Templates:
    """A pool `fast`, with the templates that belong to it; all of it goes in the end."""

    def __init__(self, host: Any) -> None:
        self.host = host
        self.cli("pool", "create", "fast", "--path", f"{PLACE}/fast")

    def cli(self, *argv: str, status: int = 0) -> str:
        """`vfioctl ARGV`, which ends with `status`; what it says."""
        ended = self.host.cli(*argv)
        assert ended.returncode == status, ended.stdout + ended.stderr
        return str(ended.stdout + ended.stderr)

    def data(self, *argv: str) -> Any:
        return json.loads(self.host.cli(*argv, "--format", "json").stdout)["data"]

    def refused(self, code: str, *argv: str) -> str:
        """The same, refused with `code` and nothing changed; what it says."""
        before = self.files()
        said = self.cli(*argv, "--format", "json", status=3)
        assert f'"{code}"' in said, said
        assert self.files() == before
        return said

    def killed(self, number: int, *argv: str) -> None:
        """`vfioctl ARGV`, killed at the boundary `number` of its journal."""
        self.host.must("sh", "-c", f"rm -f /.kit/*; echo '{number} 9' > /.kit/crash")
        ended = self.host.cli(*argv)
        self.host.must("sh", "-c", "rm -f /.kit/*")
        assert ended.returncode != 0, "it has fewer boundaries"

    def files(self) -> str:
        """Every file and directory of the pools, and the pools."""
        listed = self.host.lab.virsh("pool-list", "--all", "--name").stdout
        return str(self.host.must("find", PLACE, "-printf", "%p %s %m\n")) + str(listed)

    def digest(self, path: str) -> str:
        return str(self.host.must("sha256sum", path).split()[0])

    def remove(self) -> None:
        virsh = self.host.lab.virsh
        for name in virsh("list", "--all", "--name").stdout.split():
            virsh("destroy", name, check=False)
            virsh("undefine", name, "--managed-save", "--snapshots-metadata")
        for name in virsh("pool-list", "--all", "--name").stdout.split():
            virsh("pool-destroy", name, check=False)
            virsh("pool-undefine", name)
        self.host.must("sh", "-c", f"rm -rf {PLACE}/*")
