"""The repository has its shape, and each wheel holds what it needs to work without the repository."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import zipfile
from email.parser import Parser
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PLUGINS = tuple(sorted(path for path in (ROOT / "plugins").iterdir() if not path.name.startswith(".")))
PROJECTS = (ROOT, *PLUGINS)
IDS = [path.name if path != ROOT else "vfioctl" for path in PROJECTS]
SINGLE_FILES = {"pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE", "CONTRIBUTING.md", "SECURITY.md"}
DIRECTORIES = {"vfioctl", "plugins", "contrib", "tests", "docs"}
BESIDES = {"vfioctl-guest": ("pycdlib>=1.14",)}  # the ISO image from which a new guest reads its first settings
BUILT = {"build", "dist"}  # by tools, and ignored by git
NEEDED = (
    "vfioctl/data/libvirt/50-vfioctl.sh.in", "vfioctl/data/systemd/vfioctl-recover.service.in",
    "vfioctl/data/systemd/vfioctl-recover-rest.service.in",
    "vfioctl/handoff/undo.sh", "vfioctl/plugin/vfioctl-plugin.toml", "vfioctl/py.typed", "vfioctl/testing/entry.py",
    "vfioctl/testing/server.py",
)  # fmt: skip


def project(path: Path) -> dict[str, Any]:
    found = tomllib.loads((path / "pyproject.toml").read_text())["project"]
    assert isinstance(found, dict)
    return found


def package(path: Path) -> Path:
    return path / ("vfioctl" if path == ROOT else path.name.replace("-", "_"))


# The repository


def test_the_top_level_is_what_it_should_be() -> None:
    seen = {path.name for path in ROOT.iterdir() if not path.name.startswith(".")} - BUILT
    assert seen == SINGLE_FILES | DIRECTORIES
    assert (ROOT / ".ci" / "run").exists()


def test_plugins_are_whole_projects_with_nothing_between_them() -> None:
    for path in PLUGINS:
        names = {entry.name for entry in path.iterdir() if not entry.name.startswith((".", "__"))} - BUILT
        assert names == {"pyproject.toml", "README.md", "tests", package(path).name}


@pytest.mark.parametrize("path", PLUGINS, ids=IDS[1:])
def test_a_plugin_has_the_version_of_the_core_and_needs_just_that_series(path: Path) -> None:
    core, own = project(ROOT), project(path)
    major, minor, _ = core["version"].split(".")
    assert own["version"] == core["version"]
    assert own["dependencies"] == [f"vfioctl>={major}.{minor},<{major}.{int(minor) + 1}", *BESIDES.get(path.name, ())]
    assert own["requires-python"] == core["requires-python"]


def test_the_example_plugin_needs_the_same_series() -> None:
    example = project(ROOT / "contrib" / "example-plugin")
    assert example["dependencies"] == project(PLUGINS[0])["dependencies"]


# The wheels


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, zipfile.ZipFile]:
    """The wheel of each project by its name."""
    place = tmp_path_factory.mktemp("wheels")
    ended = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", place, *PROJECTS],
        capture_output=True, text=True, check=False, cwd=place,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    return {wheel.name.split("-")[0]: zipfile.ZipFile(wheel) for wheel in place.glob("*.whl")}


def wheel_of(path: Path, wheels: dict[str, zipfile.ZipFile]) -> zipfile.ZipFile:
    return wheels[package(path).name]


def static(path: Path) -> dict[str, Any]:
    """What a plugin says of itself without being imported."""
    return tomllib.loads((package(path) / "vfioctl-plugin.toml").read_text())


def sources(path: Path) -> set[str]:
    files = (file for file in package(path).rglob("*") if file.is_file() and "__pycache__" not in file.parts)
    return {str(file.relative_to(path)) for file in files}


@pytest.mark.parametrize("path", PROJECTS, ids=IDS)
def test_the_wheel_holds_every_file_of_its_package_and_no_other(path: Path, wheels) -> None:
    outside = (".dist-info/", ".data/")
    names = {name for name in wheel_of(path, wheels).namelist() if not any(part in name for part in outside)}
    data = {name for name in names if name.startswith("vfioctl/data/")} if path == ROOT else set()
    assert names - data == sources(path)


@pytest.mark.parametrize("name", NEEDED)
def test_the_core_brings_what_works_without_the_repository(name: str, wheels) -> None:
    assert wheel_of(ROOT, wheels).read(name) or name.endswith("py.typed")


def test_what_lies_in_contrib_and_travels_in_the_wheel_is_the_same_file(wheels) -> None:
    units = ("systemd/vfioctl-recover.service.in", "systemd/vfioctl-recover-rest.service.in")
    for name in ("libvirt/50-vfioctl.sh.in", *units):
        assert wheel_of(ROOT, wheels).read(f"vfioctl/data/{name}") == (ROOT / "contrib" / name).read_bytes()


@pytest.mark.parametrize("path", PLUGINS, ids=IDS[1:])
def test_a_plugin_brings_its_static_data_and_is_found_by_its_entry_point(path: Path, wheels) -> None:
    wheel, module = wheel_of(path, wheels), package(path).name
    data = tomllib.loads(wheel.read(f"{module}/vfioctl-plugin.toml").decode())
    entries = wheel.read(f"{module}-{project(path)['version']}.dist-info/entry_points.txt").decode()
    assert f"[vfioctl]\n{data['name']} = {module}.plugin" in entries


@pytest.mark.parametrize("path", PROJECTS, ids=IDS)
def test_the_wheel_says_its_licence_and_is_pure_python(path: Path, wheels) -> None:
    wheel = wheel_of(path, wheels)
    info = next(name.rpartition("/")[0] for name in wheel.namelist() if name.endswith("/METADATA"))
    metadata = Parser().parsestr(wheel.read(f"{info}/METADATA").decode())
    assert metadata["License-Expression"] == "MIT"
    assert "Root-Is-Purelib: true" in wheel.read(f"{info}/WHEEL").decode()


def test_each_man_page_is_in_the_wheel_of_those_whose_commands_it_shows(wheels: dict[str, zipfile.ZipFile]) -> None:
    owners = {group["name"]: f"vfioctl_{data['name'].replace('-', '_')}" for data in map(static, PLUGINS)
              for group in data.get("group", ())}  # fmt: skip
    for page in sorted((ROOT / "docs/man").iterdir()):
        owner = owners.get(page.stem.removeprefix("vfioctl-"), "vfioctl")
        inside = f"{owner}-{project(ROOT)['version']}.data/data/share/man/man1/{page.name}"
        assert wheels[owner].read(inside) == page.read_bytes()
