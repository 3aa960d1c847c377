"""What all tests share: how many examples hypothesis tries (--hypothesis-profile dev, ci, all), shards of matrices."""

from __future__ import annotations

import os
import signal
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

SLOW_IS_FINE = (HealthCheck.too_slow, HealthCheck.function_scoped_fixture)

# A shell lets what it runs in the background ignore ^C, and so would every program that a test starts and interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("dev", max_examples=200, deadline=None, suppress_health_check=SLOW_IS_FINE)
settings.register_profile("ci", max_examples=2_000, deadline=None, suppress_health_check=SLOW_IS_FINE)
settings.register_profile("all", max_examples=20_000, deadline=None, suppress_health_check=SLOW_IS_FINE)
settings.load_profile("ci" if os.environ.get("CI") else "dev")

collect_ignore = ["data"]  # the frozen plugins there have tests of their own
HOURS = pytest.mark.timeout(2 * 3600)  # a property with 20,000 examples takes minutes
SHARDS = 16  # one of so many parts of every matrix runs with --shard
TURNS = 3  # and of the families that take turns, one of so many


@pytest.fixture
def alone() -> Iterator[None]:
    """No other test, in whichever process, that hangs or holds something on this machine's own /proc meanwhile."""
    from share import alone as alone_on_proc  # the tests of a plugin by itself have no tests/support

    with alone_on_proc():
        yield


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--regenerate", action="store_true", help="write goldens anew instead of comparing with them")
    parser.addoption("--shard", metavar="SEED", help="of what is marked `matrix` or `family`, what SEED draws")
    parser.addoption("--part", metavar="N/M", help="of all tests, the Nth of M parts; every test is in one of them")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Properties may take their time. Without --shard every case runs; the same seed draws the same cases."""
    for item in items:
        if getattr(getattr(item, "obj", None), "is_hypothesis_test", False):
            item.add_marker(HOURS)
    items.sort(key=_turn)
    if seed := config.getoption("--shard"):
        _keep(config, items, lambda item: not item.get_closest_marker("matrix") or _is_drawn(seed, item.nodeid))
        _keep(config, items, lambda item: not item.get_closest_marker("family") or _has_its_turn(seed, item.path.stem))
    if part := config.getoption("--part"):
        number, of = _part(part)
        _keep(config, items, lambda item: zlib.crc32(item.nodeid.encode()) % of == number - 1)


def _turn(item: pytest.Item) -> int:
    """What waits for its like is begun first, by one worker, and then what takes long."""
    if "alone" in getattr(item, "fixturenames", ()):
        return 0
    return 1 if item.get_closest_marker("timeout") else 2


def _part(word: str) -> tuple[int, int]:
    number, _, of = word.partition("/")
    if not (number.isdigit() and of.isdigit() and 1 <= int(number) <= int(of)):
        raise pytest.UsageError(f"A part is N/M, as 1/4, not {word}.")
    return int(number), int(of)


def _keep(config: pytest.Config, items: list[pytest.Item], wanted: Callable[[pytest.Item], bool]) -> None:
    kept = [item for item in items if wanted(item)]
    config.hook.pytest_deselected(items=[item for item in items if item not in set(kept)])
    items[:] = kept


def _is_drawn(seed: str, node: str) -> bool:
    return zlib.crc32(f"{seed} {node}".encode()) % SHARDS == 0


def _has_its_turn(seed: str, family: str) -> bool:
    """Whole modules: what they set up for all their tests costs more than a test."""
    return zlib.crc32(family.encode()) % TURNS == zlib.crc32(seed.encode()) % TURNS


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compares a whole text with the file `goldens/NAME` beside the test; --regenerate writes it."""

    def compare(name: str, text: str) -> None:
        file = Path(request.path).parent / "goldens" / name
        if request.config.getoption("--regenerate"):
            file.parent.mkdir(exist_ok=True)
            file.write_text(text)
        assert text == file.read_text(), f"{name} differs; look at it, then: pytest --regenerate"

    return compare
