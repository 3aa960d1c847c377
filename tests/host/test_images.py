"""Backing chains, read from headers that are written here as the formats define them."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest

from vfioctl.host.images import LONGEST, Backing, Chain, backing_of, follow, plain_size
from vfioctl.paths import Paths


def qcow2(path: Path, backing: str = "", form: str = "", version: int = 3) -> str:
    """A header with a backing name and, when given, its format as an extension."""
    name, said = backing.encode(), form.encode()
    extension = struct.pack(">II", 0xE2792ACA, len(said)) + said.ljust((len(said) + 7) // 8 * 8, b"\0") if said else b""
    length = 104 if version > 2 else 72
    offset = length + len(extension) + 8
    start = struct.pack(">4sIQI", b"QFI\xfb", version, offset if backing else 0, len(name)).ljust(100, b"\0")
    start = (start + struct.pack(">I", length))[:length].ljust(length, b"\0")
    path.write_bytes(start + extension + bytes(8) + name)
    return str(path)


def chain(directory: Path, files: int) -> str:
    """The newest path of a chain of `files` files, below the root `directory`."""
    raw = directory / "0.img"
    raw.write_bytes(b"")
    for number in range(1, files):
        below = "qcow2" if number > 1 else "raw"
        qcow2(directory / f"{number}.img", f"{number - 1}.img", below)
    return f"/{files - 1}.img"


def with_data_in(path: Path, name: str) -> str:
    """A qcow2 image whose data is in the file `name`."""
    said = name.encode()
    header = bytearray(Path(qcow2(path)).read_bytes()[:104])
    header[20:24], header[72:80] = struct.pack(">I", 16), struct.pack(">Q", 4)
    extension = struct.pack(">II", 0x44415441, len(said)) + said.ljust(-(-len(said) // 8) * 8, b"\0")
    path.write_bytes(header + extension + bytes(8))
    return str(path)


@pytest.mark.parametrize("version", [2, 3])
def test_qcow2_names_its_backing_file_and_its_format(tmp_path, version):
    assert backing_of(qcow2(tmp_path / "a", "/b", "raw", version), "qcow2") == Backing("/b", "raw")


def test_qcow2_without_a_backing_file(tmp_path):
    assert backing_of(qcow2(tmp_path / "a"), "qcow2") is None


def test_the_older_qcow(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(struct.pack(">4sIQI", b"QFI\xfb", 1, 48, 2).ljust(48, b"\0") + b"/b")
    assert backing_of(str(path), "qcow") == Backing("/b")


@pytest.mark.parametrize(("features", "backing"), [(0, None), (1, Backing("/b")), (5, Backing("/b", "raw"))])
def test_qed(tmp_path, features, backing):
    path = tmp_path / "a"
    path.write_bytes(struct.pack("<4s12xQ", b"QED\0", features).ljust(56, b"\0") + struct.pack("<II", 64, 2) + b"/b")
    assert backing_of(str(path), "qed") == backing


@pytest.mark.parametrize("data", [b"", b"QFI", b"QFI\xfb" + bytes(100), b"x" * 200])
@pytest.mark.parametrize("form", ["qcow2", "qcow", "qed"])
def test_what_is_no_such_image_has_nothing_below(tmp_path, data, form):
    path = tmp_path / "a"
    path.write_bytes(data)
    assert backing_of(str(path), form) is None


def test_an_image_that_is_used_as_raw_has_nothing_below(tmp_path):
    assert backing_of(qcow2(tmp_path / "a", "/b"), "raw") is None


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a")
    assert backing_of(str(tmp_path / "a"), "qcow2") is None


def test_a_backing_file_is_looked_for_beside_the_image_that_names_it(tmp_path):
    (tmp_path / "images").mkdir()
    qcow2(tmp_path / "images/top", "base", "raw")
    missing = Chain(missing="/images/base", above="/images/top")
    assert follow(Paths(str(tmp_path)), "/images/top", "qcow2") == missing
    (tmp_path / "images/base").touch()
    assert follow(Paths(str(tmp_path)), "/images/top", "qcow2") == Chain()


@pytest.mark.parametrize("name", ["nbd://127.0.0.1/x", 'json:{"driver":"file"}'])
def test_a_backing_image_that_is_no_path_is_left_to_qemu(tmp_path, name):
    qcow2(tmp_path / "a", name, "raw")
    assert follow(Paths(str(tmp_path)), "/a", "qcow2") == Chain()


def test_a_format_must_be_stated_of_what_has_a_backing_file_itself(tmp_path):
    paths = Paths(str(tmp_path))
    qcow2(tmp_path / "base")
    qcow2(tmp_path / "middle", "base")
    qcow2(tmp_path / "top", "middle")
    assert follow(paths, "/middle", "qcow2") == Chain()
    assert follow(paths, "/top", "qcow2") == Chain(unstated="/middle", above="/top")


def test_a_chain_may_have_200_files(tmp_path):
    paths = Paths(str(tmp_path))
    assert follow(paths, chain(tmp_path, LONGEST), "qcow2") == Chain()
    assert follow(paths, chain(tmp_path, LONGEST + 1), "qcow2") == Chain(too_long=True)


def test_a_loop_is_too_long(tmp_path):
    qcow2(tmp_path / "a", "a", "qcow2")
    assert follow(Paths(str(tmp_path)), "/a", "qcow2").too_long


def whole(path: Path, size: int = 1 << 30, **fields: tuple[str, int, int]) -> str:
    """An empty qcow2 image of clusters of 64 KiB; `fields` are a format, a place in the header and a value."""
    cluster = 1 << 16
    head = struct.pack(
        ">4sIQIIQIIQQIIQQQQII", b"QFI\xfb", 3, 0, 0, 16, size, 0, 2, 3 * cluster, cluster, 1, 0, 0, 0, 0, 0, 4, 104
    )
    data = bytearray(head.ljust(4 * cluster, b"\0"))
    for form, place, value in fields.values():
        struct.pack_into(form, data, place, value)
    path.write_bytes(data)
    return str(path)


def test_the_size_of_a_plain_image(tmp_path):
    assert plain_size(whole(tmp_path / "a"), "qcow2") == 1 << 30
    assert plain_size(whole(tmp_path / "a"), "raw") == 4 << 16  # a guest may have written such a header


def test_the_last_sector_of_a_raw_image_is_filled_up(tmp_path):
    (tmp_path / "a").write_bytes(b"x" * 513)
    assert plain_size(str(tmp_path / "a"), "raw") == 1024


@pytest.mark.parametrize("change", [
    (">I", 4, 4), (">Q", 24, 513), (">I", 20, 8), (">I", 20, 22), (">I", 32, 1), (">I", 36, 1), (">I", 36, 1 << 23),
    (">Q", 40, 5 << 16), (">Q", 40, 1), (">Q", 40, 0), (">Q", 48, 0), (">Q", 48, 1), (">I", 56, 0), (">I", 60, 1),
    (">Q", 72, 1), (">Q", 72, 2), (">Q", 72, 4), (">Q", 72, 8), (">Q", 72, 1 << 60), (">Q", 88, 1), (">I", 96, 7),
    (">I", 100, 96), (">I", 100, (1 << 16) + 8),
], ids=[
    "version", "half a sector", "small clusters", "large clusters", "encrypted", "short table", "huge table",
    "table outside", "table askew", "no table", "no refcounts", "refcounts askew", "no refcount table",
    "a snapshot inside", "dirty", "corrupt", "data elsewhere", "compression", "an unknown feature", "bitmaps",
    "wide refcounts", "short header", "long header",
])  # fmt: skip
def test_what_is_odd_about_an_image_is_left_to_qemu(tmp_path, change):
    assert plain_size(whole(tmp_path / "a", changed=change), "qcow2") is None


def test_a_backing_name_that_qemu_would_not_read_is_left_to_qemu(tmp_path):
    at, length = (">Q", 8, 1024), (">I", 16, 1023)
    assert plain_size(whole(tmp_path / "a", at=at, length=length), "qcow2") == 1 << 30
    assert plain_size(whole(tmp_path / "a", at=at, length=(">I", 16, 1024)), "qcow2") is None
    assert plain_size(whole(tmp_path / "a", at=(">Q", 8, (1 << 16) - 2), length=length), "qcow2") is None


@pytest.mark.parametrize("data", [b"", b"QFI\xfb", b"QFI\xfb\0\0\0\2", b"x" * 200])
def test_what_is_no_image_is_left_to_qemu(tmp_path, data):
    (tmp_path / "a").write_bytes(data)
    assert plain_size(str(tmp_path / "a"), "qcow2") is None


@pytest.mark.parametrize("form", ["raw", "qcow2"])
def test_a_pipe_has_no_size_and_is_not_waited_for(tmp_path, form):
    os.mkfifo(tmp_path / "a")
    assert plain_size(str(tmp_path / "a"), form) is None


@pytest.mark.parametrize("form", ["qed", "vmdk", ""])
def test_other_formats_are_left_to_qemu(tmp_path, form):
    assert plain_size(whole(tmp_path / "a"), form) is None


@pytest.mark.parametrize("name", ["data.raw", "/data.raw"])
def test_the_file_that_has_the_data_of_an_image_must_be_there(tmp_path, name):
    with_data_in(tmp_path / "a", name)
    assert follow(Paths(str(tmp_path)), "/a", "qcow2") == Chain(missing="/data.raw", above="/a")
    (tmp_path / "data.raw").touch()
    assert follow(Paths(str(tmp_path)), "/a", "qcow2") == Chain()


@pytest.mark.parametrize(
    ("name", "missing"),
    [
        ('json:{"driver":"file","filename":"/b"}', "/b"),
        ('json:{"driver":"raw","file":{"driver":"file","filename":"/b"}}', "/b"),
        ('json:{"file.driver":"file","file.filename":"/b"}', "/b"),
        ('json:{"driver":"nbd","server.path":"/b"}', ""),
        ('json:{"driver":"https","filename":"/b"}', ""),
        ('json:{"file":{"driver":"file","filename":"b"}}', ""),
        ("json:[]", ""),
        ("json:{", ""),
    ],
)
def test_a_backing_name_in_json_leads_to_a_file_of_this_host(tmp_path, name, missing):
    qcow2(tmp_path / "a", name, "raw")
    expected = Chain(missing=missing, above="/a") if missing else Chain()
    assert follow(Paths(str(tmp_path)), "/a", "qcow2") == expected
