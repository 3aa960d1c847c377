"""argv and standard input of the hook."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vfioctl.errors import Refused, VfioctlError
from vfioctl.events.libvirt import check_guest_name, parse_argv, read_stdin
from vfioctl.events.model import Event, Operation

ANY_TEXT = st.text(st.characters(exclude_categories=()))


def test_the_four_arguments_become_an_event():
    assert parse_argv(["win11", "release", "end", "destroyed"]) == Event("win11", Operation.RELEASE, "end", "destroyed")


@pytest.mark.parametrize("word", [word.value for word in Operation if word is not Operation.UNKNOWN])
def test_every_operation_that_libvirt_documents_is_known(word):
    assert parse_argv(["win11", word, "begin", "-"]).operation == word


def test_an_operation_of_a_newer_libvirt_is_unknown_and_no_error():
    assert parse_argv(["win11", "teleport", "begin", "-"]).operation is Operation.UNKNOWN


@pytest.mark.parametrize("argv", [[], ["win11"], ["win11", "prepare", "begin"], ["a", "prepare", "begin", "-", "more"]])
def test_a_wrong_number_of_arguments_is_named(argv):
    with pytest.raises(VfioctlError, match=f"not {len(argv)}") as caught:
        parse_argv(argv)
    assert caught.value.code == "event.malformed"


@given(st.lists(ANY_TEXT, min_size=4, max_size=4))
def test_any_four_strings_are_an_event(argv):
    event = parse_argv(argv)
    assert (event.guest, event.sub_operation, event.extra) == (argv[0], argv[2], argv[3])


@given(st.lists(ANY_TEXT, max_size=8))
def test_any_number_of_strings_gives_an_event_or_an_error_with_a_code(argv):
    try:
        parse_argv(argv)
        said = ""
    except VfioctlError as error:
        said = error.code
    assert said == ("" if len(argv) == 4 else "event.malformed")


@pytest.mark.parametrize(
    "name",
    ["win11", "my gaming pc", "it's \"quoted\"", "-rf", ".hidden", "...", "größe", "窓", "$(reboot)", "a" * 250],
)  # fmt: skip
def test_names_that_libvirt_accepts_are_accepted(name):
    check_guest_name(name)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/", "a\0b", "a\nb", "a" * 251, "ü" * 126, "\ud800"])
def test_names_that_cannot_be_a_file_are_refused(name):
    with pytest.raises(Refused) as caught:
        check_guest_name(name)
    assert caught.value.code == "guest.name"


@given(ANY_TEXT)
def test_any_name_is_accepted_or_refused_and_an_accepted_one_is_a_single_file_name(name):
    try:
        check_guest_name(name)
    except Refused:
        return
    assert os.path.join("/etc/guests", f"{name}.toml").count("/") == 3
    assert len(os.fsencode(f"{name}.toml")) <= 255


def piped(data: bytes) -> int:
    reading, writing = os.pipe()
    os.write(writing, data)
    os.close(writing)
    return reading


def test_standard_input_is_read_to_its_end():
    assert read_stdin(piped(b"<domain/>")) == b"<domain/>"


def test_input_at_the_cap_is_read_and_one_byte_more_is_refused():
    assert read_stdin(piped(b"x" * 100), cap=100) == b"x" * 100
    with pytest.raises(VfioctlError) as caught:
        read_stdin(piped(b"x" * 101), cap=100)
    assert caught.value.code == "domain.too_large"
