"""The wheels of contrib/wheels.sh are installed by pip, pipx and uv without an index, work, and are removed again."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from wheel_set import ROOT, script, wheels

from vfioctl import __version__

pytestmark = [pytest.mark.matrix, pytest.mark.timeout(900)]
RUN = ROOT / "contrib/requirements/run.txt"
PLUGINS = tuple(sorted(path.name for path in (ROOT / "plugins").glob("vfioctl-*")))
PYTHON = getattr(sys, "_base_executable", sys.executable)


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return wheels(tmp_path_factory.mktemp("set") / "dist")


@pytest.fixture(scope="module")
def home(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with all of them."""
    home = tmp_path_factory.mktemp("pip") / "vfioctl"
    run(PYTHON, "-m", "venv", str(home))
    with_pip(home, dist)
    return home


def with_pip(home: Path, dist: Path, *options: str) -> None:
    pip = (str(home / "bin/pip"), "-q", "--disable-pip-version-check", "install", "--no-index", *options)
    run(*pip, "--find-links", str(dist), "--require-hashes", "-r", str(RUN))
    run(*pip, "--no-deps", *map(str, dist.glob("vfioctl*.whl")))


def run(*argv: str, **environ: str) -> str:
    ended = subprocess.run(
        argv, check=False, text=True, env={**os.environ, **environ}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert ended.returncode == 0, ended.stdout
    return ended.stdout


def age(program: Path) -> None:
    """Make another version of the one that `program` is of; uv shares files with its cache, so a new file."""
    module = next(program.resolve().parents[1].glob("lib/python3*/site-packages/vfioctl/__init__.py"))
    module.unlink()
    module.write_text('__version__ = "old"\n')
    assert run(str(program), "--version") == "vfioctl old\n"


def works(program: Path, host: Path) -> None:
    """Assert that hook and plugins of the installation are found, on an empty host, and the hook goes again."""
    for place in ("etc/libvirt/hooks", "proc", "run", "usr/bin", "var/lib"):
        (host / place).mkdir(parents=True)
    assert run(str(program), "--version") == f"vfioctl {__version__}\n"
    on_host = (str(program), "--root", str(host))
    run(*on_host, "hook", "install")
    hook = host / "etc/libvirt/hooks/qemu.d/50-vfioctl"
    python = next(line for line in hook.read_text().splitlines() if line.startswith("python="))
    assert Path(python.removeprefix("python=")).parent == program.resolve().parent
    shown = run(*on_host, "plugins", "list", "--format", "json")
    assert [name for name in PLUGINS if f'"name": "{name.removeprefix("vfioctl-")}"' not in shown] == []
    run(*on_host, "hook", "uninstall")
    assert not hook.exists()


def test_what_pip_installs_works(home: Path, tmp_path: Path) -> None:
    works(home / "bin/vfioctl", tmp_path)
    assert {page.name for page in (home / "share/man/man1").glob("vfioctl*")} == set(os.listdir(ROOT / "docs/man"))


def test_pip_updates_it_from_a_newer_set(home: Path, dist: Path) -> None:
    age(home / "bin/vfioctl")
    with_pip(home, dist, "--force-reinstall")
    assert run(str(home / "bin/vfioctl"), "--version") == f"vfioctl {__version__}\n"


def test_a_set_is_made_of_another_one_without_an_index(dist: Path, tmp_path: Path) -> None:
    made = script("contrib/wheels.sh", "--from", str(dist), str(tmp_path / "again"))
    assert made.returncode == 0, made.stdout
    assert sorted(os.listdir(tmp_path / "again")) == sorted(os.listdir(dist))


def test_a_directory_that_has_something_in_it_is_not_filled(tmp_path: Path) -> None:
    (tmp_path / "mine").touch()
    made = script("contrib/wheels.sh", str(tmp_path))
    assert (made.returncode, os.listdir(tmp_path)) == (1, ["mine"])
    assert "has something in it already" in made.stdout


@pytest.mark.skipif(not shutil.which("pipx"), reason="pipx is not installed")
def test_what_pipx_installs_works_and_is_updated_and_removed(dist: Path, tmp_path: Path) -> None:
    place = {"PIPX_HOME": f"{tmp_path}/pipx", "PIPX_BIN_DIR": f"{tmp_path}/bin", "PIPX_MAN_DIR": f"{tmp_path}/man"}
    core, offline = str(next(dist.glob("vfioctl-[0-9]*.whl"))), f"--pip-args=--no-index --find-links={dist}"

    def install(*options: str) -> None:
        run("pipx", "install", *options, "--python", PYTHON, offline, core, **place)
        run("pipx", "inject", *options, offline, "vfioctl", *map(str, dist.glob("vfioctl_*.whl")), **place)

    install()
    age(tmp_path / "bin/vfioctl")
    install("--force")
    works(tmp_path / "bin/vfioctl", tmp_path / "host")
    run("pipx", "uninstall", "vfioctl", **place)
    assert os.listdir(tmp_path / "bin") == []


@pytest.mark.skipif(not shutil.which("uv"), reason="uv is not installed")
def test_what_uv_installs_works_and_is_updated_and_removed(dist: Path, tmp_path: Path) -> None:
    place = {name: f"{tmp_path}/{name}" for name in ("UV_TOOL_DIR", "UV_TOOL_BIN_DIR", "UV_CACHE_DIR")}
    program = Path(place["UV_TOOL_BIN_DIR"]) / "vfioctl"
    offline = ("--python", PYTHON, "--no-index", "--find-links", str(dist))
    plugins = [word for name in PLUGINS for word in ("--with", name)]
    run("uv", "tool", "install", *offline, *plugins, "vfioctl", **place)
    age(program)
    run("uv", "tool", "install", "--force", *offline, *plugins, "vfioctl", **place)
    works(program, tmp_path / "host")
    run("uv", "tool", "uninstall", "vfioctl", **place)
    assert os.listdir(place["UV_TOOL_BIN_DIR"]) == []
