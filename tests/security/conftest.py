"""A machine that every local user can look at, and such a user: what they try is tried in a process of theirs."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hand_offs import BY_NAME, Stage
from installations import Installation
from turns import IN_TURN

from vfioctl.testing.host import FakeHost
from vfioctl.wait import until

HERE = Path(__file__).parent
NOBODY = 65534
AsNobody = Callable[[Callable[[], Any]], Any]


@pytest.hookimpl(tryfirst=True)  # the draw, which is for all tests, goes by these marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What needs a second user needs root; what takes longest takes turns."""
    for item in items:
        if item.path.parent == HERE and item.path.stem.removeprefix("test_") in IN_TURN:
            item.add_marker(pytest.mark.family)
        if "as_nobody" in getattr(item, "fixturenames", ()) and os.geteuid() != 0:
            item.add_marker(pytest.mark.skip(reason="becoming another user needs root"))


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that others can reach; those of pytest are for its own user alone."""
    made = Path(tempfile.mkdtemp(prefix="vfioctl-security-"))
    made.chmod(0o755)
    yield made
    assert until(lambda: is_removed(made), 5.0)


def is_removed(place: Path) -> bool:
    """Whether nothing is left of it: what undo.sh asks in the background may still come and go."""
    shutil.rmtree(place, ignore_errors=True)
    return not place.exists()


@pytest.fixture
def stage(place: Path) -> Iterator[Stage]:
    """A host with one card beside its own, and the hook for a guest that gets it."""
    with FakeHost(BY_NAME["generic"].machine(), place) as host:
        yield Stage(BY_NAME["generic"], host)


@pytest.fixture
def installation(place: Path) -> Installation:
    return Installation(place)


@pytest.fixture
def as_nobody() -> AsNobody:
    """Runs a function as another local user and returns what it returns, through JSON."""

    def run(work: Callable[[], Any]) -> Any:
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.setgroups([])
                os.setgid(NOBODY)
                os.setuid(NOBODY)
                os.write(writing, json.dumps(work()).encode())
            finally:
                os._exit(0)
        os.close(writing)
        with open(reading) as pipe:
            said = pipe.read()
        os.waitpid(child, 0)
        return json.loads(said)

    return run
