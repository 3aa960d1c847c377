"""What libvirt says of 1,000 snapshots over 50 guests, asked of a private daemon."""

from __future__ import annotations

import importlib.util
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vfioctl.virt.connection import Connection, connect
from vfioctl.virt.nodes import Node
from vfioctl.virt.snapshots import read_snapshots

LAB = Path(__file__).resolve().parents[1] / "libvirt/lab.py"
GUESTS, EACH = 50, 20
INACTIVE, REDEFINE = 2, 1  # VIR_DOMAIN_XML_INACTIVE, VIR_DOMAIN_SNAPSHOT_CREATE_REDEFINE
DISK = "<disk type='file' device='disk'><driver type='qcow2'/><source file='/srv/{}.qcow2'/><target dev='vda'/></disk>"
RECORD = """<domainsnapshot><name>day{number}</name><creationTime>{created}</creationTime><state>shutoff</state>
<memory snapshot='no'/><disks><disk name='vda' snapshot='internal'/></disks>{parent}{domain}</domainsnapshot>"""


@contextmanager
def daemon() -> Iterator[Connection]:
    """A connection to a daemon with the guests and their snapshots."""
    module = _lab()
    with tempfile.TemporaryDirectory(prefix="vfioctl-bench-") as place:
        lab = module.Lab(Path(place), Path(place, "etc"), Path(place, "cache"))
        lab.open()
        try:
            lab.start()
            with connect(Node("bench", lab.uri)) as connection:
                connection.ask(lambda libvirt: _fill(libvirt, module.GUEST), "the guests", limit=300)
                yield connection
        finally:
            lab.close()


def seconds(connection: Connection) -> float:
    """How long it takes to read all of them."""
    began = time.perf_counter()
    found = read_snapshots(connection)
    taken = time.perf_counter() - began
    if len(found) != GUESTS * EACH:
        raise RuntimeError(f"{len(found)} snapshots were read, not {GUESTS * EACH}")
    return taken


def _lab() -> Any:
    spec = importlib.util.spec_from_file_location("ring2_lab", LAB)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _fill(libvirt: Any, form: str) -> None:
    for guest in range(GUESTS):
        xml = form.format(name=f"guest{guest}", uuid=uuid.uuid4(), devices=DISK.format(f"guest{guest}"))
        domain = libvirt.defineXML(xml)
        for number in range(EACH):
            parent = f"<parent><name>day{number - 1}</name></parent>" if number else ""
            created = 1_700_000_000 + number
            record = RECORD.format(number=number, created=created, parent=parent, domain=domain.XMLDesc(INACTIVE))
            domain.snapshotCreateXML(record, REDEFINE)
