"""The stand-in drivers of the lab compile without a warning, and their names and needs are those of the real ones."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.lab.standins import build

NEEDS = {
    "nvidia": "", "nvidia_modeset": "nvidia", "nvidia_uvm": "nvidia", "nvidia_drm": "nvidia_modeset", "amdgpu": "",
}  # fmt: skip


@pytest.fixture(scope="module")
def modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory with every stand-in, built for the newest kernel whose headers are here."""
    kernels = list(build.kernels_with_headers())
    if not kernels or not all(map(shutil.which, ("make", "gcc", "strip", "modinfo"))):
        pytest.skip("no kernel headers here (linux-headers-amd64), or no compiler")
    return Path(build.built(str(tmp_path_factory.mktemp("standins")), kernels[-1]))


def said(module: Path, field: str) -> str:
    shown = subprocess.run(["/sbin/modinfo", "-F", field, str(module)], capture_output=True, text=True, check=True)
    return shown.stdout.strip()


def test_each_says_that_it_is_a_stand_in(modules: Path):
    built = sorted(modules.glob("*.ko"))
    assert len(built) == 9
    assert [path.name for path in built if "Stand-in for tests" not in said(path, "description")] == []


@pytest.mark.parametrize("name", NEEDS)
def test_it_needs_what_the_real_one_needs(modules: Path, name: str):
    ours = [word for word in said(modules / f"{name}.ko", "depends").split(",") if word.startswith("nvidia")]
    assert ",".join(ours) == NEEDS[name]


def test_one_of_them_has_a_version_that_the_plugin_knows_as_bad(modules: Path):
    known_bad = pytest.importorskip("vfioctl_nvidia.known_bad").known_bad
    assert known_bad(said(modules / "nvidia-known-bad.ko", "version"))
    assert not known_bad(said(modules / "nvidia.ko", "version"))


def test_they_are_built_once(modules: Path):
    kernel = said(modules / "nvidia.ko", "vermagic").split()[0]
    assert build.built(str(modules.parent), kernel) == str(modules)
