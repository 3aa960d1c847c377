"""How long the verbs of `vfioctl snapshot` take, as a user runs them: on a private libvirtd with real images."""

from __future__ import annotations

import importlib.util
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from types import ModuleType
from typing import Any

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


def seconds(work: Any, *argv: str) -> float:
    began = time.perf_counter()
    work(*argv)
    return time.perf_counter() - began


def creates(host: Any, rounds: int) -> tuple[float, float, float, float]:
    """Seconds of the step of an overlay, of the whole command, of `qemu-img create` alone, and of `--help`."""
    guest, found = verbs.Guest(host), []
    for number in range(rounds + 1):
        lower, upper = next(iter(guest.sources.values())), f"{verbs.IMAGES}/alone{number}.qcow2"
        alone = ("qemu-img", "create", "-q", "-f", "qcow2", "-b", lower, "-F", "qcow2", upper)
        image, page = seconds(host.must, *alone), seconds(host.cli, "--help")
        host.must("rm", upper)
        command = seconds(host.done, "create", guest.name, f"s{number}")
        found.append((_step(host), command, image, page))
    step, command, image, page = (median(column) for column in zip(*found[1:], strict=True))
    return step, command, image, page


def _step(host: Any) -> float:
    """Seconds of the newest overlay, as the history has them."""
    from vfioctl.paths import Paths
    from vfioctl.txn import history

    run = max(history.read_all(Paths(f"/proc/{host.lab.holder_pid}/root{host.tree}")).runs, key=lambda run: run.id)
    return next(step.duration for step in run.steps if step.id.startswith("snapshot:overlay:"))


def revert(host: Any, size: str, rounds: int) -> float:
    """Seconds of going back on a disk of `size` that is nearly empty."""
    guest = verbs.Guest(host)
    path = f"{verbs.IMAGES}/{guest.name}-{size}.qcow2"
    host.must("qemu-img", "create", "-q", "-f", "qcow2", path, size)
    guest.define({"vda": (path, "qcow2")})
    host.done("create", guest.name, "clean")
    back = ("revert", guest.name, "clean", "--discard", "--yes")
    return median([seconds(host.done, *back) for _ in range(rounds + 1)][1:])


def inside(host: Any, rounds: int) -> float:
    """Seconds of listing a guest whose image has many snapshots inside."""
    guest = verbs.Guest(host)
    (path,) = guest.sources.values()
    each = f"for n in $(seq {MANY // 10}); do qemu-img snapshot -c day$1$n {path} || exit 1; done"
    for tenth in "0123456789":  # a call has a deadline
        host.must("sh", "-c", each, "sh", f"{tenth}-")
    return _listing(host, rounds, MANY, guest.name)


def recorded(host: Any, guests: int, each: int, rounds: int) -> float:
    """Seconds of listing all guests, `guests` more of which have `each` records of ours, with an image each."""
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
    return _listing(host, rounds, guests * each)


def _listing(host: Any, rounds: int, count: int, *guest: str) -> float:
    import json

    said = json.loads(host.done("list", *guest, "--format", "json"))["data"]["snapshots"]
    if len(said) != count:
        raise RuntimeError(f"{len(said)} snapshots were listed, not {count}")
    return median(seconds(host.done, "list", *guest) for _ in range(rounds))
