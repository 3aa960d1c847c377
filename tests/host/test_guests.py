"""The guests that run, by the command lines that libvirt gives to QEMU."""

from __future__ import annotations

from pathlib import Path

import pytest

from vfioctl.host.guests import name_in, running
from vfioctl.paths import Paths


@pytest.mark.parametrize(
    ("value", "name"),
    [("guest=win11,debug-threads=on", "win11"), ("win11", "win11"), ("guest=a,,b,debug-threads=on", "a,b"),
     ("guest=my vm", "my vm"), ("guest=guest=x,process=y", "guest=x")],
)  # fmt: skip
def test_a_name_is_read_as_libvirt_writes_it(value: str, name: str) -> None:
    assert name_in(value) == name


def test_only_what_has_a_name_and_a_uuid_is_a_guest(tmp_path: Path) -> None:
    lines = {
        1: b"/sbin/init\0",
        7: b"xterm\0-name\0win10\0",
        8: b"qemu-system-x86_64\0-name\0guest=win11,debug-threads=on\0-uuid\0u\0",
        9: b"",
    }
    for pid, line in lines.items():
        place = tmp_path / "proc" / str(pid)
        place.mkdir(parents=True)
        (place / "cmdline").write_bytes(line)
    (tmp_path / "proc" / "10").mkdir()
    assert running(Paths(str(tmp_path))) == {"win11": 8}
