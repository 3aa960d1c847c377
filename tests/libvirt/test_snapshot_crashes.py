"""`vfioctl snapshot` killed at every boundary of its journal, on a real libvirtd: `recover` ends it, by bytes."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("libvirt")
pytest.importorskip("vfioctl_snapshot")

HERE = Path(__file__).parent
MOST = 16  # more boundaries than any of the operations has
VERBS = {
    "create": ("create", "{guest}", "again"),
    "revert": ("revert", "{guest}", "clean"),
    "discard": ("revert", "{guest}", "clean", "--discard", "--yes"),
    "delete": ("delete", "{guest}", "clean", "--yes"),
}


def _lab_module() -> Any:
    name = "vfioctl_snapshot_lab"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, HERE / "snapshot_lab.py")
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


snapshot_lab = _lab_module()


@pytest.fixture(scope="module")
def host(module_lab: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    place = tmp_path_factory.mktemp("crashes")
    place.chmod(0o755)
    made = snapshot_lab.SnapshotLab(module_lab, place)
    module_lab.hook("00-told", f'echo "$@" >> {made.calls}\nexit 0\n')
    module_lab.start()
    made.must(sys.executable, "-m", snapshot_lab.ENTRY, "--root", "/", "plugins", "refresh")
    yield made
    assert made.calls.read_text() == "", "a hook was called for a guest that was off"


@pytest.fixture
def guest(host: Any) -> Any:
    """A UEFI guest that was kept as `clean` and has written since."""
    made = snapshot_lab.Guest(host, uefi=True)
    made.clean = made.state()
    host.done("create", made.name, "clean")
    made.write(0x40)
    return made


@pytest.fixture
def killed(host: Any) -> Callable[..., bool]:
    """Run a verb that dies at a boundary; whether it came to that."""

    def run(number: int, guest: str, verb: str) -> bool:
        host.must("sh", "-c", f"rm -f /.kit/*; echo '{number} 9' > /.kit/crash")
        ended = host.cli("snapshot", *(word.format(guest=guest) for word in VERBS[verb]))
        host.must("sh", "-c", "rm -f /.kit/*")
        return ended.returncode != 0

    return run


@pytest.mark.matrix
@pytest.mark.parametrize("number", range(1, MOST + 1))
@pytest.mark.parametrize("verb", VERBS)
def test_nothing_is_lost_but_what_was_agreed_to_and_nothing_is_left(host, guest, killed, verb, number):
    present, before = guest.state(), host.files()
    if not killed(number, guest.name, verb):
        pytest.skip(f"{verb} has fewer than {number} boundaries")
    recovered = host.cli("recover")
    assert recovered.returncode == 0, recovered.stdout + recovered.stderr
    assert host.left_open() == []
    if verb in ("create", "revert"):  # undone as a whole
        assert guest.state() == present
        assert host.files() == before
        assert host.names(guest.name) == ["clean"]
    elif verb == "discard":  # agreed to, so it is finished
        assert guest.state() == guest.clean
        assert host.names(guest.name) == ["clean"]
    else:
        assert guest.state() == present
        assert host.names(guest.name) == []
    assert f"snapshot {VERBS[verb][0]} guest:{guest.name} was interrupted" in recovered.stdout
