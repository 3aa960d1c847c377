"""Finds the templates that travel with vfioctl: package data in a wheel, contrib/ in a checkout. Reads only."""

from __future__ import annotations

import os

from vfioctl.errors import VfioctlError

PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PLACES = (os.path.join(PACKAGE, "data"), os.path.join(os.path.dirname(PACKAGE), "contrib"))


def template(*parts: str) -> str:
    """The text of the template `parts`, e.g. "libvirt", "50-vfioctl.sh.in". Raises VfioctlError("setup.incomplete")."""
    for place in PLACES:
        path = os.path.join(place, *parts)
        if os.path.isfile(path):
            with open(path, encoding="utf-8") as file:
                return file.read()
    raise VfioctlError(
        "setup.incomplete",
        f"This installation of vfioctl lacks its file {'/'.join(parts)} (searched in {' and '.join(PLACES)}).",
        hints=("Install vfioctl again, from a wheel or from a checkout.",),
    )


def render(text: str, values: dict[str, str]) -> str:
    """`text` with each @NAME@ replaced by its value, which must be quoted for its place already."""
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    return text
