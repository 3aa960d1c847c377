"""What the whole way of a newcomer stands on, without a machine: the page, the comparison of files, the firmware."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path

import pytest

from tests.lab import payload
from tests.lab.inside import filesystem, tutorial, way
from tests.lab.machine import Machine

PAGE = Path(__file__).parents[2] / "docs/tutorial/first-card.md"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("etc/default/grub", "usr/bin/true", "usr/local/bin/own", "var/log/syslog"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("before")
    return tmp_path


def changed(tree: Path, before: filesystem.Listing) -> list[str]:
    return [said.partition(":")[0] for said in filesystem.differences(before, filesystem.listing(str(tree)))]


def test_the_commands_of_a_page_are_what_stands_behind_a_prompt():
    page = "```sh\n$ no\n```\n```console\n$ first\nits answer\n$ second | head\n```\ntext\n```console\n$ third\n```\n"
    assert tutorial.commands(page) == ["first", "second | head", "third"]


def test_a_page_gets_the_answers_of_its_commands_and_stays_otherwise():
    page = "# A\n```console\n$ first\nold\n$ second\n```\ntext\n```console\n$ third\n```\n"
    said = [("first", "new\n(Reading database ... \n(Reading database ... 5%\n"), ("third", "3\n")]
    now = tutorial.answered(page, said)
    assert now == "# A\n```console\n$ first\nnew\n$ second\n```\ntext\n```console\n$ third\n3\n```\n"


def test_each_look_belongs_to_a_command_of_the_tutorial():
    assert set(way.THEN) <= set(tutorial.commands(PAGE.read_text()))


@pytest.mark.parametrize("name", ["etc/default/grub", "usr/bin/true", "usr/local/bin/own"])
def test_a_file_that_was_written_to_is_a_difference(tree: Path, name: str):
    before = filesystem.listing(str(tree))
    (tree / name).write_text("after")
    assert changed(tree, before) == [f"/{name}"]


def test_a_new_file_a_lost_one_another_mode_and_another_kind_are_differences(tree: Path):
    before = filesystem.listing(str(tree))
    (tree / "etc/new").touch()
    (tree / "usr/bin/true").unlink()
    (tree / "usr/local/bin/own").chmod(0o700)
    (tree / "etc/default/grub").unlink()
    os.symlink("grub.cfg", tree / "etc/default/grub")
    assert changed(tree, before) == ["/etc/default/grub", "/etc/new", "/usr/bin/true", "/usr/local/bin/own"]


def test_a_seed_that_the_boot_loader_renews_is_none(tree: Path):
    seed = tree / "efi/loader/random-seed"
    seed.parent.mkdir(parents=True)
    seed.write_text("before")
    before = filesystem.listing(str(tree))
    seed.write_text("after")
    (seed.parent / "loader.conf").touch()
    assert changed(tree, before) == ["/efi/loader/loader.conf"]


def test_a_log_is_none(tree: Path):
    before = filesystem.listing(str(tree))
    (tree / "var/log/syslog").write_text("after")
    (tree / "var/log/new").touch()
    assert changed(tree, before) == []


def test_a_machine_with_firmware_is_given_no_kernel():
    plain = Machine("/image", "disk", "payload", "sockets").argv()
    firmware = Machine("", "disk", "payload", "sockets", firmware=("code", "variables")).argv()
    assert "-kernel" in plain
    assert not {"-kernel", "-initrd", "-append"} & set(firmware)
    assert [word for word in firmware if "pflash" in word] == [
        "if=pflash,format=raw,unit=0,readonly=on,file=code", "if=pflash,format=raw,unit=1,file=variables",
    ]  # fmt: skip


def test_what_is_to_be_at_hand_in_the_machine_lies_in_one_directory(tmp_path: Path):
    (tmp_path / "page.md").write_text("page")
    payload.write(str(tmp_path / "tar"), files=(str(tmp_path / "page.md"),))
    with tarfile.open(tmp_path / "tar") as tar:
        member = tar.extractfile("files/page.md")
        assert member
        assert member.read() == b"page"
