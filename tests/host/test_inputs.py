"""Which keyboards and mice a host has, and which of them go with a USB controller."""

from __future__ import annotations

from pathlib import Path

from vfioctl.host.inputs import devices, keyboards_behind
from vfioctl.paths import Paths

CONTROLLER, OTHER = "0000:03:00.0", "0000:00:14.0"


def plug(root: Path, controller: str, device: str, *, protocol: str, product: str = "") -> None:
    """A device on `controller`, as sysfs shows it: one interface, and links in the bus's own directory."""
    place = root / f"sys/devices/pci0000:00/{controller}/usb1/{device}"
    interface = place / f"{device}:1.0"
    interface.mkdir(parents=True)
    (interface / "bInterfaceClass").write_text("03\n")
    (interface / "bInterfaceProtocol").write_text(f"{protocol}\n")
    if product:
        (place / "product").write_text(f"{product}\n")
    bus = root / "sys/bus/usb/devices"
    bus.mkdir(parents=True, exist_ok=True)
    (bus / device).symlink_to(place)
    (bus / interface.name).symlink_to(interface)


def test_evdev_nodes_are_listed_by_the_names_that_stay(tmp_path: Path) -> None:
    place = tmp_path / "dev/input/by-id"
    place.mkdir(parents=True)
    for name in ("usb-K-event-kbd", "usb-M-event-mouse", "usb-M-mouse", "usb-Pad-event-joystick"):
        (place / name).touch()
    assert devices(Paths(str(tmp_path))) == (
        "/dev/input/by-id/usb-K-event-kbd", "/dev/input/by-id/usb-M-event-mouse",
    )  # fmt: skip


def test_a_host_without_udev_has_none(tmp_path: Path) -> None:
    assert devices(Paths(str(tmp_path))) == ()


def test_the_keyboards_of_a_controller_are_those_below_it(tmp_path: Path) -> None:
    plug(tmp_path, CONTROLLER, "1-1", protocol="01", product="Model M")
    plug(tmp_path, CONTROLLER, "1-2", protocol="02", product="Mouse")
    plug(tmp_path, OTHER, "2-1", protocol="01")
    paths = Paths(str(tmp_path))
    assert (keyboards_behind(paths, CONTROLLER), keyboards_behind(paths, OTHER)) == (("Model M",), ("2-1",))
    assert keyboards_behind(paths, "0000:09:00.0") == ()
