"""volume.clone and what it reads, on a real libvirtd: a source of the planned format, all of which is in pools."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from disk_images import MISSING, SIZE, create, fill
from pool_store import Store

from vfioctl.txn.kind import kind
from vfioctl.txn.step import Step

pytest.importorskip("libvirt", reason="libvirt-python is not installed (docs/how-to/install.md)")
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"missing: {', '.join(MISSING)}")


def copy(store: Store, form: str, **more: Any) -> Step:
    params = {"format": form, "source_format": form, "size": SIZE, "source_pool": store.uuid, "source": "base",
              "marked": True, **more}  # fmt: skip
    return store.volume("volume.clone", "b", **params)


def held(store: Store, step: Step) -> str:
    """The code of the refusal, the same from the check and from the guard; nothing is made."""
    before = sorted(os.listdir(store.path))
    code = store.refused(step)
    assert store.codes(step) == [code]
    assert sorted(os.listdir(store.path)) == before
    return code


@pytest.mark.parametrize("marked", [True, False], ids=["here", "by libvirt"])
def test_a_source_that_has_become_another_format_is_not_read(store: Store, *, marked: bool) -> None:
    create(f"{store.path}/base", form="raw")
    store.handle.refresh(0)
    step = copy(store, "raw", marked=marked)
    assert store.codes(step) == []
    create(f"{store.path}/base")
    store.handle.refresh(0)
    assert held(store, step) == "volume.format"


def test_a_raw_source_is_copied_as_its_bytes_whatever_they_begin_with(store: Store) -> None:
    """They are written after the last look at it."""
    create(f"{store.path}/base", form="raw")
    store.handle.refresh(0)
    step = copy(store, "raw")
    kind(step.kind).guard(step, store.machine)
    create(f"{store.path}/planted")
    with open(f"{store.path}/planted", "rb") as planted, open(f"{store.path}/base", "r+b") as base:
        base.write(planted.read(65536))
    kind(step.kind).apply(step, store.machine)
    with open(f"{store.path}/base", "rb") as one, open(f"{store.path}/b", "rb") as other:
        assert one.read() == other.read()


def test_a_source_above_what_is_in_no_pool_is_not_read(store: Store, tmp_path: Path) -> None:
    secret = create(tmp_path / "secret", form="raw")
    create(f"{store.path}/base", backing=secret, below="raw")
    store.handle.refresh(0)
    assert held(store, copy(store, "qcow2")) == "volume.outside"


def test_a_source_whose_data_are_in_another_file_is_not_read(store: Store, tmp_path: Path) -> None:
    secret = create(tmp_path / "secret", form="raw")
    fill(secret, 7, 1, form="raw")
    argv = ["qemu-img", "create", "-q", "-f", "qcow2", "-o", f"data_file={secret}", f"{store.path}/base", str(SIZE)]
    subprocess.run(argv, check=True)
    store.handle.refresh(0)
    assert held(store, copy(store, "qcow2")) == "volume.backing"
