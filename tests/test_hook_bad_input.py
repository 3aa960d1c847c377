"""Whatever libvirt, or anybody else, calls the hook with: no traceback, and nothing of an unmanaged guest changes."""

from __future__ import annotations

import os
import tempfile

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from vfioctl import hook
from vfioctl.compose import Composition
from vfioctl.paths import Paths
from vfioctl.proc import Programs

UUID = "9f4f3a3a-8f0a-4b0e-9a53-0f2f0f7f1a11"
CARD = "<hostdev type='pci'><source><address bus='1'/></source></hostdev>"
DOMAIN = f"<domain><name>win11</name><uuid>{UUID}</uuid><devices>{CARD}</devices></domain>".encode()
OPERATIONS = ("prepare", "start", "started", "stopped", "release", "migrate", "restore", "reconnect", "attach", "x", "")

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=20)
NAMES = st.one_of(
    st.sampled_from(["win11", "", ".", "..", "../guests", "a/b", "/", "-x", "a\0b", "n" * 300, "\udcff"]), ANY_TEXT
)
ARGV = st.one_of(
    st.tuples(NAMES, st.sampled_from(OPERATIONS), st.sampled_from(["begin", "end"]), ANY_TEXT),
    st.lists(ANY_TEXT, max_size=6).map(tuple),
)
XML = st.one_of(st.just(DOMAIN), st.binary(max_size=100), st.integers(0, len(DOMAIN)).map(lambda cut: DOMAIN[:cut]))


@pytest.fixture(scope="module")
def composition(tmp_path_factory) -> Composition:
    """A host with the state of other guests on it, and no configuration of any guest."""
    paths = Paths(str(tmp_path_factory.mktemp("host")))
    for directory in (paths.guest_markers("other"), paths.locks, paths.guest_configs, os.path.dirname(paths.last("x"))):
        os.makedirs(directory)
    marker, state = os.path.join(paths.guest_markers("other"), "release"), os.path.join(paths.run, "state")
    for file in (marker, state, paths.manifest):
        with open(file, "w") as stream:
            stream.write("kept")
    return Composition(paths, Programs(paths.programs), ("/bin/false",))


def tree(root: str) -> dict[str, object]:
    """Every path below `root` but the log, with what it holds."""
    found: dict[str, object] = {}
    for directory, names, files in os.walk(root):
        names[:] = [name for name in names if os.path.join(directory, name) != os.path.join(root, "var/log")]
        found[directory] = sorted(names)
        for name in files:
            path = os.path.join(directory, name)
            with open(path, "rb") as stream:
                found[path] = (os.stat(path).st_mode, stream.read())
    return found


def call(composition: Composition, argv: tuple[str, ...], data: bytes) -> int:
    """The hook with `data` as its standard input."""
    kept = os.dup(0)
    try:
        with tempfile.TemporaryFile() as stdin:
            stdin.write(data)
            stdin.seek(0)
            os.dup2(stdin.fileno(), 0)
            return hook.main(composition, argv)
    finally:
        os.dup2(kept, 0)
        os.close(kept)


def said(composition: Composition) -> str:
    """What the log holds; it is emptied."""
    path = os.path.join(composition.paths.log, "vfioctl.log")
    if not os.path.exists(path):
        return ""
    with open(path, encoding="utf-8") as stream:
        text = stream.read()
    os.unlink(path)
    return text


@given(ARGV, XML)
@example(("..", "release", "end", "-"), DOMAIN)
@example(("", "release", "end", "-"), DOMAIN)
@example(("win11", "prepare", "begin", "-"), b"<domain>")
def test_no_call_for_a_guest_that_is_not_managed_changes_anything_or_shows_a_bug(composition, argv, data):
    before = tree(composition.paths.root)
    status = call(composition, argv, data)
    assert tree(composition.paths.root) == before
    assert status == 0 or (len(argv) > 1 and argv[1] == "prepare")
    assert "internal error" not in said(composition)


@given(NAMES, st.sampled_from([word for word in OPERATIONS if word != "prepare"]), XML)
def test_nothing_but_prepare_ever_ends_with_another_status_than_0(composition, guest, operation, data):
    assert call(composition, (guest, operation, "begin", "-"), data) == 0


def test_a_prepare_of_an_unmanaged_guest_succeeds_without_reading_its_xml(composition):
    assert call(composition, ("stranger", "prepare", "begin", "-"), b"not even XML") == 0


def test_what_is_wrong_is_said_once_with_our_name_in_front(composition, capfd):
    assert call(composition, ("..", "prepare", "begin", "-"), DOMAIN) != 0
    assert capfd.readouterr().err == (
        "vfioctl: A guest called '..' cannot be managed: the name is that of a directory. "
        "Rename it with: virsh domrename\n"
    )


@given(XML)
@example(b"<!DOCTYPE d [<!ENTITY a 'x'>]><domain/>")
@example(b"<domain>" + b"<a>" * 200)
def test_a_managed_guest_with_a_broken_domain_is_refused_in_one_sentence(composition, data):
    assume(data != DOMAIN)
    file = composition.paths.guest_config("win11")
    with open(file, "w"):
        pass
    try:
        before = tree(composition.paths.root)
        assert call(composition, ("win11", "prepare", "begin", "-"), data) == 3
        assert tree(composition.paths.root) == before
    finally:
        os.unlink(file)
    assert "internal error" not in said(composition)
