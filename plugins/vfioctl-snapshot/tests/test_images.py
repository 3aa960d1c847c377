"""Images as their headers describe them, and those around a guest."""

from __future__ import annotations

import os

import pytest
from vfioctl_snapshot.headers import read
from vfioctl_snapshot.images import around, named, of_each, room, same
from vfioctl_snapshot.many import AT_ONCE

LUKS = "encrypt.format=luks,encrypt.iter-time=10"


@pytest.fixture
def host(bench):
    return bench.request().host


def over(bench, name: str, backing: str, *, form: str = "qcow2") -> str:
    """An image over `backing`, which its header names relatively."""
    path = bench.paths.at("images", name)
    bench.qemu_img("create", "-q", "-f", "qcow2", "-b", os.path.basename(backing), "-F", form, path)
    return f"/images/{name}"


def test_a_header_says_what_lies_below_and_in_which_format(bench):
    base = bench.image("base.img", form="raw")
    image = read(bench.paths.at(over(bench, "top.qcow2", base, form="raw")))
    assert (image.format, image.backing, image.backing_format, image.size) == ("qcow2", "base.img", "raw", 1 << 20)
    assert (read(bench.paths.at(base)).format, read(bench.paths.at(base)).backing) == ("raw", "")


def test_internal_snapshots_are_read_from_the_file(bench):
    path = bench.paths.at(bench.image("a.qcow2"))
    for name in ("one", "a-longer-name", "x" * 60):
        bench.qemu_img("snapshot", "-c", name, path)
    found = read(path).snapshots
    assert [one.name for one in found] == ["one", "a-longer-name", "x" * 60]
    assert not any(one.has_memory for one in found)
    assert all(one.made > 1.6e9 for one in found)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("-o", "compat=0.10"), ""),
        (("--object", "secret,id=s,data=x", "-o", f"{LUKS},encrypt.key-secret=s"), "it is encrypted"),
        (("-o", "data_file={root}/images/raw.data,data_file_raw=on"), "its data lie in a separate raw file"),
    ],
)
def test_what_keeps_an_image_out_is_seen_in_its_header(bench, options, problem):
    given = tuple(option.format(root=bench.paths.root) for option in options)
    assert read(bench.paths.at(bench.image("a.qcow2", options=given))).problem == problem


@pytest.mark.parametrize("size", [0, 3, 71, 72, 100])
def test_a_file_that_is_cut_off_is_no_reason_to_fail(tmp_path, bench, size):
    with open(bench.paths.at(bench.image("whole.qcow2")), "rb") as whole:
        (tmp_path / "cut").write_bytes(whole.read(size))
    assert read(str(tmp_path / "cut")).backing == ""


def test_a_device_is_never_opened():
    with pytest.raises(OSError, match="not used"):
        read("/dev/null")


def test_a_chain_is_followed_and_named_as_the_host_names_it(bench, host):
    base = bench.image("base.qcow2")
    middle = over(bench, "middle.qcow2", base)
    top = over(bench, "top.qcow2", middle)
    assert {path: image.backing for path, image in named(host, [top]).items()} == {top: middle, middle: base, base: ""}


def test_what_lies_beside_is_found_as_well(bench, host):
    base = bench.image("base.qcow2")
    clone = over(bench, "clone.qcow2", base)
    assert clone not in named(host, [base])
    assert around(host, [base])[clone].backing == base


def test_a_clone_is_found_among_many_files(bench, host):
    base = bench.image("base.qcow2")
    for number in range(2 * AT_ONCE):
        with open(bench.paths.at(f"images/m{number}"), "w", encoding="utf-8"):
            pass
    os.unlink(bench.paths.at("images/m3"))
    os.symlink("gone", bench.paths.at("images/m3"))
    clones = {over(bench, name, base) for name in ("a.qcow2", "z.qcow2")}
    found = around(host, [base])
    assert {path for path, image in found.items() if image.backing == base} == clones
    assert len(found) == 2 * AT_ONCE - 1 + 3


def test_one_file_with_two_paths_is_one_image(bench, host):
    base = bench.image("base.qcow2")
    os.symlink("base.qcow2", bench.paths.at("images/link.qcow2"))
    os.link(bench.paths.at(base), bench.paths.at("images/hard.qcow2"))
    clone = over(bench, "clone.qcow2", "link.qcow2")
    found = around(host, [base])
    assert sorted(found) == sorted([base, clone])
    assert found[clone].backing == base
    assert same(host, found, ["/images/hard.qcow2", "/gone"]) == {base, "/gone"}


def test_each_guest_sees_its_own_images_as_it_calls_them(bench, host):
    base, other = bench.image("base.qcow2"), bench.image("other.qcow2")
    top = over(bench, "top.qcow2", base)
    os.symlink("base.qcow2", bench.paths.at("images/link.qcow2"))
    first, second, third, nothing = of_each(host, ((top, other), ("/images/link.qcow2",), ("/images/gone",), ()))
    assert {path: image.backing for path, image in first.items()} == {top: base, other: "", base: ""}
    assert list(second) == ["/images/link.qcow2"]
    assert third == nothing == {}


def test_free_bytes_are_those_of_the_directory(bench, host):
    assert room(host, [bench.image("a.qcow2")])["/images"] > 0


def test_what_is_not_there_is_left_out(host):
    assert named(host, ["/images/gone.qcow2", ""]) == {}
