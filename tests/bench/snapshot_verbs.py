"""How long the verbs of `vfioctl snapshot` take, as a user runs them: on a private libvirtd with real images."""

from __future__ import annotations

import importlib.util
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from types import ModuleType
from typing import Any

from measure import Child, Cost

TESTS = Path(__file__).resolve().parents[1]
sys.path.append(str(TESTS / "support"))  # the lab of the tests uses their builders
MANY = 1000


def _module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"bench_{Path(name).name}", TESTS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


ring2, verbs = _module("libvirt/lab"), _module("support/snapshot_lab")


@contextmanager
def lab() -> Iterator[Any]:
    """A host with a private libvirtd, on which vfioctl and its plugins are installed."""
    with tempfile.TemporaryDirectory(prefix="vfioctl-bench-") as place:
        daemon = ring2.Lab(Path(place, "lab"), Path(place, "etc"), Path(place, "cache"))
        daemon.open()
        try:
            host = verbs.SnapshotLab(daemon, Path(place))
            daemon.start()
            yield host
        finally:
            daemon.close()


def child(work: Any, *argv: str) -> Child:
    """What `work` costs with these arguments: by the clock, and what it waits for of the processor."""

    def timed() -> Cost:
        before, began = _processor(), time.perf_counter()
        work(*argv)
        return Cost(time.perf_counter() - began, _processor() - before)

    return timed


def _processor() -> float:
    used = getrusage(RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class Creates:
    """A guest that is kept again and again, and `steps`: the seconds of the step that makes its overlay, each time."""

    def __init__(self, host: Any) -> None:
        self.host = host
        self.guest = verbs.Guest(host)
        self.steps: list[float] = []

    def page(self) -> Cost:
        return child(self.host.cli, "--help")()

    def image(self) -> Cost:
        """qemu-img alone, which makes the same."""
        lower, upper = next(iter(self.guest.sources.values())), f"{verbs.IMAGES}/alone.qcow2"
        argv = ("qemu-img", "create", "-q", "-f", "qcow2", "-b", lower, "-F", "qcow2", upper)
        cost = child(self.host.must, *argv)()
        self.host.must("rm", upper)
        return cost

    def command(self) -> Cost:
        cost = child(self.host.done, "create", self.guest.name, f"s{len(self.steps)}")()
        self.steps.append(step_seconds(self.host, "disk.overlay"))
        return cost


def step_seconds(host: Any, kind: str) -> float:
    """Seconds of the first step of this `kind` in the newest operation, as the history has them."""
    from vfioctl.paths import Paths
    from vfioctl.txn import history

    run = max(history.read_all(Paths(f"/proc/{host.lab.holder_pid}/root{host.tree}")).runs, key=lambda run: run.started)
    return next(step.duration for step in run.steps if step.kind == kind)


def revert(host: Any, size: str) -> Child:
    """Going back on a disk of `size` that is nearly empty."""
    guest = verbs.Guest(host)
    path = f"{verbs.IMAGES}/{guest.name}-{size}.qcow2"
    host.must("qemu-img", "create", "-q", "-f", "qcow2", path, size)
    guest.define({"vda": (path, "qcow2")})
    host.done("create", guest.name, "clean")
    return child(host.done, "revert", guest.name, "clean", "--discard", "--yes")


def inside(host: Any) -> Child:
    """Listing a guest whose image has many snapshots inside."""
    guest = verbs.Guest(host)
    (path,) = guest.sources.values()
    each = f"for n in $(seq {MANY // 10}); do qemu-img snapshot -c day$1$n {path} || exit 1; done"
    for tenth in "0123456789":  # a call has a deadline
        host.must("sh", "-c", each, "sh", f"{tenth}-")
    return _listing(host, MANY, guest.name)


def recorded(host: Any, guests: int, each: int) -> Child:
    """Listing all guests, `guests` more of which have `each` records of ours, with an image each."""
    from vfioctl_snapshot.record import Part, Record, place

    for name in host.lab.virsh("list", "--all", "--name").stdout.split():
        host.lab.virsh("undefine", name, "--snapshots-metadata")
    root = Path(f"/proc/{host.lab.holder_pid}/root{host.tree}")
    for _ in range(guests):
        guest = verbs.Guest(host)
        (path,) = guest.sources.values()
        copies = f"for n in $(seq 0 {each - 1}); do cp --sparse=always {path} {path}.$n; done"
        host.must("sh", "-c", copies)
        for number in range(each):
            part = Part("vda", f"{path}.{number}", "qcow2", path)
            record = Record(f"day{number}", guest.uuid, guest.name, created=1.7e9 + number, disks=(part,))
            file = Path(f"{root}{place(guest.uuid, record.name)}")
            file.parent.mkdir(0o700, parents=True, exist_ok=True)
            file.write_bytes(record.to_json())
            file.chmod(0o600)
    return _listing(host, guests * each)


def _listing(host: Any, count: int, *guest: str) -> Child:
    import json

    said = json.loads(host.done("list", *guest, "--format", "json"))["data"]["snapshots"]
    if len(said) != count:
        raise RuntimeError(f"{len(said)} snapshots were listed, not {count}")
    return child(host.done, "list", *guest)
