"""An installation of root's own in a virtual environment, and a plugin that leaves a proof when it is imported."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from functools import cache
from pathlib import Path

from vfioctl.plugin.types import API_VERSION

STATIC = f'name = "spare"\napi = {API_VERSION}\n'
COMMAND = """import click
@click.command("sparecmd")
def command():
    click.echo("it ran")
"""
METADATA = "Metadata-Version: 2.1\nName: vfioctl-spare\nVersion: 1.0\nSummary: A spare part.\n"
ENTRY_POINTS = "[vfioctl]\nspare = vfioctl_spare.plugin\n[vfioctl.commands]\nsparecmd = vfioctl_spare.cli:command\n"


class Installation:
    """A virtual environment that imports what this one has, and a host without anything."""

    def __init__(self, place: Path) -> None:
        self.host, self.home = place / "host", place / "opt"
        for directory in ("etc/libvirt/hooks", "run", "proc", "var/lib", "usr/bin"):
            (self.host / directory).mkdir(parents=True)
        venv.create(self.home, symlinks=True, with_pip=False)
        self.python = self.home / "bin/python"
        self.site = next(self.home.glob("lib/python3*/site-packages"))
        for path in _libraries():
            self.add_path(path)

    def add_path(self, path: str | Path) -> None:
        with open(self.site / "more.pth", "a", encoding="utf-8") as file:
            file.write(f"{path}\n")

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.python, "-m", "vfioctl.entry", *arguments], cwd=self.home, text=True, check=False,
            capture_output=True, env={"PATH": os.defpath, **environment},
        )  # fmt: skip

    def on_host(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return self.run("--root", str(self.host), *arguments, **environment)

    def install(self, **environment: str) -> subprocess.CompletedProcess[str]:
        return self.on_host("hook", "install", **environment)

    def shim(self) -> Path:
        return self.host / "etc/libvirt/hooks/qemu.d/50-vfioctl"

    def manifest(self) -> Path:
        return self.host / "var/lib/vfioctl/manifest.json"


@cache
def _libraries() -> tuple[str, ...]:
    """What this environment imports from besides the standard library; in an editable one the checkout as well."""
    code = "import sys, sysconfig; print(*(p for p in sys.path if p.startswith('/')), sep='\\n')"
    said = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True).stdout
    return tuple(path for path in said.split("\n") if path and not path.startswith(sys.base_prefix + "/lib/python3"))


def with_command(manifest: Path, name: str, target: str) -> None:
    """Add a command to a manifest, as whoever can write it would."""
    row = {"name": name, "help": "", "target": target, "view": "", "effect": "change", "plugin": "spare",
           "distribution": "", "prints": True}  # fmt: skip
    listed = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**listed, "commands": [*listed["commands"], row]}))


class SparePlugin:
    """The plugin `spare` with the command `sparecmd`, as pip lays them out in `site`. Importing it writes `proof`."""

    def __init__(self, site: Path, proof: Path) -> None:
        self.site, self.proof = site, proof
        self.package = site / "vfioctl_spare"
        (self.package / "parts").mkdir(parents=True)
        leave = f"open({str(proof)!r}, 'a').close()\n"
        for name, text in {
            "__init__.py": "", "plugin.py": leave, "cli.py": leave + COMMAND, "vfioctl-plugin.toml": STATIC,
            "parts/__init__.py": "", "parts/later.py": "",
        }.items():  # fmt: skip
            (self.package / name).write_text(text)
        info = site / "vfioctl_spare-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(METADATA)
        (info / "entry_points.txt").write_text(ENTRY_POINTS)

    def was_imported(self) -> bool:
        """Whether it was since the last look."""
        found = self.proof.exists()
        self.proof.unlink(missing_ok=True)
        return found
