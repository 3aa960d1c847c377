"""Makes a wheel of another version out of one of ours, as a release of unchanged code would be."""

from __future__ import annotations

import os
import zipfile


def bump(path: str, target: str, version: str) -> str:
    """Write the wheel `path` as `version` into the directory `target`; its path."""
    name, old, tags = os.path.basename(path).split("-", 2)
    new = os.path.join(target, f"{name}-{version}-{tags}")
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(new, "w") as wheel:
        record = []
        for entry in source.infolist():
            place = entry.filename.replace(f"{name}-{old}.dist-info/", f"{name}-{version}.dist-info/")
            record.append(f"{place},,")
            if not place.endswith(".dist-info/RECORD"):
                wheel.writestr(place, _changed(place, source.read(entry), old, version))
        wheel.writestr(f"{name}-{version}.dist-info/RECORD", "\n".join(record) + "\n")
    return new


def _changed(place: str, data: bytes, old: str, version: str) -> bytes:
    if place.endswith(".dist-info/METADATA"):
        return data.replace(f"\nVersion: {old}\n".encode(), f"\nVersion: {version}\n".encode(), 1)
    if place == "vfioctl/__init__.py":
        return data.replace(f'"{old}"'.encode(), f'"{version}"'.encode())
    return data
