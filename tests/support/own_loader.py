"""A machine of the lab that boots by the loader on its own disk, from its first boot to a verdict."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.lab import loaders, payload, sources, state
from tests.lab.cache import Cache
from tests.lab.errors import CannotRun, Hung
from tests.lab.machine import Machine
from tests.lab.session import Event, Order, Session

CACHE = f"{os.environ.get('VFIOCTL_CACHE', '/var/lib/vfioctl-test')}/way"
PATIENCE = float(os.environ.get("LAB_PATIENCE", "2"))
DEADLINE = 1800.0  # of what is done between two boots
EACH = [(debian, loader) for debian in sources.SUITES for loader in loaders.PACKAGES]


def told(debian: str, loader: str, module: str, files: Sequence[Path], place: Path) -> list[Event]:
    """What `begin` of tests.lab.inside.MODULE tells on such a machine, which has `files` at hand; it must pass.

    It works in the directory `place`, and skips the test where there is no such disk. Takes minutes.
    """
    order = Order(f"tests.lab.inside.{module}", "begin", DEADLINE, PATIENCE, {"menu": loaders.MENU[loader]})
    keep = str(place / "keep")
    try:
        heard, last = _run(order, debian, loader, files, keep)
    except Hung as error:  # an emulated processor may: its kernel panics, or is silent
        sys.stderr.write(f"It hung, and is tried once more: {error}\n")
        heard, last = _run(order, debian, loader, files, keep)
    checks = [event["name"] for event in heard if event["event"] == "check"]
    assert last["verdict"] == "passed", f"{last['why']}\nafter {checks[-5:]}; what it left: {keep}"
    return heard


def _run(order: Order, debian: str, loader: str, files: Sequence[Path], keep: str) -> tuple[list[Event], Event]:
    """What it has told, and its last word."""
    heard: list[Event] = []
    cache = Cache(CACHE)
    with cache.locked(lambda: None), tempfile.TemporaryDirectory() as place:
        machine = _machine(cache, debian, loader, files, Path(place))
        with Session(machine, keep, cache.path("qemu.pid"), heard.append) as session:
            return heard, session.run(order)


def _machine(cache: Cache, debian: str, loader: str, files: Sequence[Path], place: Path) -> Machine:
    """One that has never run; what is to lie at hand in it is on its second disk."""
    try:
        made = loaders.cached(cache, sources.suite_of(debian), loader, PATIENCE)
    except CannotRun as error:
        pytest.skip(f"there is no disk of Debian {debian}: {error}")
    disk, at_hand, variables = (str(place / name) for name in ("disk.qcow2", "at-hand.tar", "variables.fd"))
    state.overlay(disk, f"{made}/disk.qcow2")
    payload.write(at_hand, files=tuple(map(str, files)))
    shutil.copy(loaders.VARIABLES, variables)
    return Machine("", disk, at_hand, "", firmware=(loaders.FIRMWARE, variables))
