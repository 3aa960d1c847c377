"""Ring 2: fixtures with a private libvirtd. Skipped with the reason where it cannot run, a failure there under CI."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from pool_store import Store
from turns import EACH_TIME

HERE = Path(__file__).parent
OUTCOMES = pytest.StashKey[dict[str, bool]]()


def _load(name: str) -> Any:
    """The module `name` of this directory, once: tests/ is no package."""
    full = f"vfioctl_ring2_{name}"
    if full not in sys.modules:
        spec = importlib.util.spec_from_file_location(full, HERE / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[full] = module
        spec.loader.exec_module(module)
    return sys.modules[full]


lab_module = _load("lab")
house_module = _load("house")
contract_module = _load("contract")


@pytest.hookimpl(tryfirst=True)  # the draw, which is for all tests, goes by these marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.ring2)
            if item.path.stem.removeprefix("test_") not in EACH_TIME:
                item.add_marker(pytest.mark.family)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """`backend`: what libvirt keeps its rules with; from 10.4 on there are two."""
    if "backend" in metafunc.fixturenames:
        two = not lab_module.missing() and lab_module.version() >= (10, 4)
        metafunc.parametrize("backend", ["iptables", "nftables"] if two else ["iptables"], scope="module")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With --regenerate, what a test of snapshots proves on this libvirt is recorded; see tests/support/proven.py."""
    report = yield
    if item.path.parent == HERE and item.path.stem.startswith("test_snapshot_") and _is_recorded(item.config):
        outcomes = item.config.stash.setdefault(OUTCOMES, {})
        if report.failed or report.when == "call":
            outcomes[f"{item.path.stem}::{item.name}"] = report.passed
    return report


def _is_recorded(config: pytest.Config) -> bool:
    return bool(config.getoption("--regenerate")) and not lab_module.missing()


def pytest_sessionfinish(session: pytest.Session) -> None:
    if outcomes := session.config.stash.get(OUTCOMES, {}):
        from proven import record

        version = ".".join(map(str, lab_module.version()))
        passed = {node for node, good in outcomes.items() if good}
        record(version, passed, outcomes.keys() - passed)


@pytest.fixture(scope="session")
def ring2() -> None:
    """This machine can run a private libvirtd."""
    if why := lab_module.missing():
        if os.environ.get("CI"):
            pytest.fail(why)
        pytest.skip(why)


@pytest.fixture(scope="session")
def contract(libvirt_version: Any) -> Any:
    """What this machine's version of libvirt does."""
    return contract_module.contract(libvirt_version)


@pytest.fixture(scope="session")
def libvirt_version(ring2: None) -> Any:
    """Major and minor version of the daemon."""
    return lab_module.version()


@pytest.fixture(scope="session")
def capabilities_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What libvirtd found out about QEMU, shared: probing costs seconds."""
    return tmp_path_factory.mktemp("libvirt-cache")


@pytest.fixture
def store(lab: Any, tmp_path: Path) -> Iterator[Store]:
    """An active pool of a directory, on the libvirtd of the module's `lab`."""
    tmp_path.chmod(0o755)
    made = Store(lab, tmp_path)
    made.made()
    yield made
    made.remove()


@pytest.fixture
def make_lab(ring2: None, tmp_path: Path, capabilities_cache: Path) -> Iterator[Callable[..., Any]]:
    """Opens a lab, its daemon not started, on the given /etc/libvirt; closed at the end."""
    labs = []

    def make(etc: Path | None = None, run: Path | None = None) -> Any:
        place = tmp_path / f"lab{len(labs)}"
        lab = lab_module.Lab(place, etc or place / "etc", capabilities_cache, run)
        labs.append(lab)
        lab.open()
        return lab

    yield make
    for lab in labs:
        lab.close()


@pytest.fixture(scope="module")
def module_lab(ring2: None, tmp_path_factory: pytest.TempPathFactory, capabilities_cache: Path) -> Iterator[Any]:
    """One lab for a whole module, its daemon not started."""
    place = tmp_path_factory.mktemp("lab")
    lab = lab_module.Lab(place, place / "etc", capabilities_cache)
    lab.open()
    yield lab
    lab.close()


@pytest.fixture(scope="module")
def network_lab_of(
    ring2: None, tmp_path_factory: pytest.TempPathFactory, capabilities_cache: Path
) -> Iterator[Callable[..., Any]]:
    """Opens a lab with a network namespace of its own, its daemon not started: networks may be active there."""
    if why := lab_module.missing(*lab_module.NETWORK_PROGRAMS):
        (pytest.fail if os.environ.get("CI") else pytest.skip)(why)
    labs = []

    def make() -> Any:
        place = tmp_path_factory.mktemp("lab")
        lab = lab_module.Lab(place, place / "etc", capabilities_cache, networks=True)
        labs.append(lab)
        lab.open()
        return lab

    yield make
    for lab in labs:
        lab.close()


@pytest.fixture(scope="module")
def network_lab(network_lab_of: Callable[..., Any]) -> Any:
    """One such lab for a whole module."""
    return network_lab_of()


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Any]:
    """A machine whose steps ask a private libvirtd; their connections end with the test."""
    from libvirt_machine import machine_of

    tmp_path.chmod(0o755)
    made = machine_of(tmp_path)
    yield made
    for connection in made.opened.values():
        connection.close()


@pytest.fixture(scope="module")
def open_to_the_group(module_lab: Any) -> None:
    """The group "daemon" may ask the private libvirtd, as the group libvirt may on a host. Before the daemon starts."""
    module_lab.let_members_ask()


@pytest.fixture(scope="module")
def bare_host(module_lab: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A host on which vfioctl is typed as a user types it. Its private libvirtd runs, with neither guest nor pool."""
    from snapshot_lab import SnapshotLab

    place = tmp_path_factory.mktemp("host")
    place.chmod(0o755)
    made = SnapshotLab(module_lab, place)
    module_lab.start()
    return made


@pytest.fixture(scope="module")
def host(bare_host: Any) -> Any:
    """The same, where a module needs no more."""
    return bare_host


@pytest.fixture
def guest(host: Any) -> Iterator[Any]:
    """A guest that is off; it hears its power button and answers on its serial line."""
    from living import Living

    made = Living(host)
    yield made
    made.remove()


@pytest.fixture
def running(guest: Any) -> Any:
    """The same, up and ready."""
    guest.host.lab.virsh("start", guest.name)
    guest.wait()
    return guest


@pytest.fixture(scope="module")
def lab(module_lab: Any) -> Any:
    """One daemon for a whole module, started with a hook present."""
    module_lab.hook("00-present", "exit 0\n")
    module_lab.start()
    return module_lab


@pytest.fixture(scope="module")
def template_host(module_lab: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """One daemon for a whole module, on a host with an image that templates are made of."""
    from template_lab import prepared

    return prepared(module_lab, tmp_path_factory.mktemp("templates"))


@pytest.fixture
def templates(template_host: Any) -> Iterator[Any]:
    """A pool for templates, on that host; all of it goes in the end."""
    from template_lab import Templates

    made = Templates(template_host)
    yield made
    made.remove()


@pytest.fixture
def make_house(start_host: Callable[..., Any], make_lab: Callable[..., Any]) -> Callable[..., Any]:
    """Builds a simulated host, installs the hook in it with our own command, and starts a libvirtd there."""

    def make(spec: Any) -> Any:
        host = start_host(house_module.with_vfio(spec))
        run = Path(host.root) / "run/libvirt"
        run.mkdir(mode=0o755)
        lab = make_lab(Path(host.root) / "etc/libvirt", run)
        host.kernel.list_namespace(lab.namespace)
        house = house_module.House(host, lab)
        installed = house.cli("hook", "install")
        assert installed.returncode == 0, installed.stderr
        lab.start()
        return house

    return make
