"""DRM nodes as Linux 6.1 shows them in sysfs."""

from __future__ import annotations

from pathlib import Path

from vfioctl.host import nodes
from vfioctl.paths import Paths

GPU = "0000:01:00.0"


def test_the_old_control_link_of_a_card_is_no_node(tmp_path: Path) -> None:
    """Seen: drm/controlD64 → card0 with the number 226:0, and no /dev/dri/controlD64: holders were named by it."""
    drm = tmp_path / "sys/bus/pci/devices" / GPU / "drm"
    for name, number in (("card0", "226:0"), ("renderD128", "226:128")):
        (drm / name).mkdir(parents=True)
        (drm / name / "dev").write_text(f"{number}\n")
    (drm / "controlD64").symlink_to("card0")
    found = nodes.of_function(Paths(str(tmp_path)), GPU, ("driver", "drm"), "bochs-drm")
    assert [node.path for node in found] == ["/dev/dri/card0", "/dev/dri/renderD128"]
