"""CPU models out of libvirt's own cache about QEMU; nothing is said where that is absent or stale."""

from __future__ import annotations

import hashlib
import os

import pytest

from vfioctl.host.cpu_models import is_unknown
from vfioctl.paths import Paths

EMULATOR = "/usr/bin/qemu-system-x86_64"
NAME = hashlib.sha256(EMULATOR.encode()).hexdigest()
CACHE = """<qemuCaps>
  <arch>{arch}</arch>
  <emulator>/usr/bin/qemu-system-x86_64</emulator>
  <qemuctime>{changed}</qemuctime>
  <cpu type='kvm' name='EPYC' typename='EPYC-x86_64-cpu' usable='no'>
    <blocker name='svm'/>
  </cpu>
  <cpu type='tcg' name='qemu64' typename='qemu64-x86_64-cpu' usable='yes'/>
</qemuCaps>
"""


@pytest.fixture
def paths(tmp_path):
    for directory in ("usr/bin", "var/cache/libvirt/qemu/capabilities", "usr/share/libvirt/cpu_map"):
        (tmp_path / directory).mkdir(parents=True)
    (tmp_path / "usr/share/libvirt/cpu_map/x86_Denverton.xml").touch()
    emulator = tmp_path / EMULATOR.lstrip("/")
    emulator.touch()
    write_cache(tmp_path, int(os.stat(emulator).st_ctime))
    return Paths(str(tmp_path))


def write_cache(root, changed: int, arch: str = "aarch64") -> None:
    text = CACHE.format(changed=changed, arch=arch)
    (root / f"var/cache/libvirt/qemu/capabilities/{NAME}.xml").write_text(text)


def test_a_model_that_neither_knows_is_unknown(paths):
    assert is_unknown(paths, EMULATOR, "NoSuch")


@pytest.mark.parametrize("model", ["EPYC", "qemu64", "Denverton"])
def test_a_model_that_qemu_or_libvirt_knows_is_not(paths, model):
    assert not is_unknown(paths, EMULATOR, model)


def test_for_x86_qemus_word_is_not_enough(paths, tmp_path):
    write_cache(tmp_path, int(os.stat(tmp_path / EMULATOR.lstrip("/")).st_ctime), "x86_64")
    assert is_unknown(paths, EMULATOR, "EPYC")
    assert not is_unknown(paths, EMULATOR, "Denverton")


def test_a_model_may_be_in_a_file_of_another_name(paths, tmp_path):
    (tmp_path / "usr/share/libvirt/cpu_map/x86_more.xml").write_text("<cpus><model name='NoSuch'/></cpus>")
    assert not is_unknown(paths, EMULATOR, "NoSuch")


def test_nothing_is_said_of_another_emulator(paths):
    assert not is_unknown(paths, "/opt/qemu", "NoSuch")


def test_nothing_is_said_out_of_a_cache_of_an_older_emulator(paths, tmp_path):
    write_cache(tmp_path, 1)
    assert not is_unknown(paths, EMULATOR, "NoSuch")


def test_nothing_is_said_without_the_emulator(paths, tmp_path):
    (tmp_path / EMULATOR.lstrip("/")).unlink()
    assert not is_unknown(paths, EMULATOR, "NoSuch")


def test_nothing_is_said_where_libvirts_own_list_is_elsewhere(paths, tmp_path):
    (tmp_path / "usr/share/libvirt/cpu_map/x86_Denverton.xml").unlink()
    assert not is_unknown(paths, EMULATOR, "NoSuch")
