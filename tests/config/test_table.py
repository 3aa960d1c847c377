"""A file of settings that a plugin describes: as strict as the files of the host and the guests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from vfioctl.config.schema import Setting
from vfioctl.config.table import judged_settings, read_settings
from vfioctl.errors import Refused
from vfioctl.paths import Paths

KNOWN = (
    Setting("memory", "str", None, "How much."), Setting("cpus", "int", None, "How many.", minimum=1),
    Setting("network-boot", "bool", None, "Whether."), Setting("network", "list", None, "Which."),
    Setting("firmware", "str", None, "How.", choices=("bios", "uefi")),
)  # fmt: skip


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "etc/small.toml"
    made.parent.mkdir(mode=0o755)
    return made


def write(file: Path, text: str) -> None:
    file.write_text(text)
    file.chmod(0o644)


def read(file: Path) -> dict[str, object]:
    return {key: (one.value, one.origin) for key, one in read_settings(Paths(str(file.parents[1])), str(file), KNOWN)
            .items()}  # fmt: skip


def test_each_value_comes_with_its_line(file: Path) -> None:
    write(file, '# small ones\nmemory = "2G"\n\nnetwork = ["lan"]\nnetwork-boot = true\n')
    assert read(file) == {
        "memory": ("2G", f"{file}:2"), "network": (("lan",), f"{file}:4"), "network-boot": (True, f"{file}:5"),
    }  # fmt: skip
    write(file, "")
    assert read(file) == {}


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ('\nmemry = "2G"', "config.unknown", r':2: memry: there is no such setting; did you mean "memory"\?'),
        ("[tables]\nmemory = 1", "config.unknown", "tables: there is no such setting; expected one of"),
        ("cpus = 0", "config.value", "cpus: expected a whole number from 1, found 0"),
        ('cpus = "2"', "config.type", "cpus: expected a whole number"),
        ('network = "lan"', "config.type", "network: expected a list of strings, found 'lan'"),
        ('firmware = "efi"', "config.value", 'firmware: expected "bios" or "uefi"'),
        ('memory = "2G"\nmemory = "4G"', "config.syntax", ":2: expected TOML"),
        ("memory = 2G", "config.syntax", ":1: expected TOML"),
        ("[handler]\nx = 1", "config.unknown", "handler"),
    ],
)
def test_what_is_wrong_is_named_with_its_line_and_what_was_meant(file: Path, text: str, code: str, said: str) -> None:
    write(file, text)
    with pytest.raises(Refused, match=said) as caught:
        read(file)
    assert caught.value.code == code


def test_everything_that_is_wrong_comes_at_once_beside_what_is_right(file: Path) -> None:
    write(file, 'memory = "2G"\ncpus = 0\nmemry = 1\n')
    values, wrong = judged_settings(Paths(str(file.parents[1])), str(file), KNOWN)
    assert [*values] == ["memory"]
    assert [one.code for one in wrong] == ["config.value", "config.unknown"]
    assert ":2: cpus" in wrong[0].message


def test_a_file_that_others_may_write_or_that_is_not_there_is_not_obeyed(file: Path) -> None:
    with pytest.raises(Refused, match="is not there") as caught:
        read(file)
    os.symlink(file.parent / "gone", file)
    with pytest.raises(Refused, match="a link to nothing"):
        read(file)
    file.unlink()
    write(file, "cpus = 2")
    file.chmod(0o666)
    with pytest.raises(Refused) as caught:
        read(file)
    assert caught.value.code == "config.writable"
