"""What is said of a template that cannot be used."""

from __future__ import annotations

import pytest

from vfioctl.virt.nodes import LOCAL, Node
from vfioctl.virt.pools import Pool
from vfioctl.virt.templates import Template
from vfioctl.virt.volumes import Volume

POOL = Pool("u", "fast-templates", "dir", "running", persistent=True, autostart=False, path="/t", source="", capacity=0,
            allocation=0, available=0, volumes=1, xml="")  # fmt: skip
RECORD = Volume("fast-templates", "debian.json", "/t/debian.json", "file", "raw", 1 << 10, 1 << 10)


@pytest.mark.parametrize(("node", "line"), [
    (LOCAL, "vfioctl volume delete fast-templates debian.json"),
    (Node("tank", "qemu+ssh://tank/system"), "vfioctl volume delete fast-templates debian.json --node tank"),
])  # fmt: skip
def test_what_is_left_of_a_damaged_one_is_removed_from_its_own_node(node: Node, line: str) -> None:
    assert Template(POOL, "debian", None, None, RECORD, "It is damaged.", node).removal == line
