"""Whatever libvirt, or anybody else, calls the hook with: no traceback, and nothing of an unmanaged guest changes."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from vfioctl import entry, hook
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


@pytest.fixture
def before(composition) -> dict[str, object]:
    """The host at rest; looked at once for all examples of a test."""
    return tree(composition.paths.root)


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
    return with_stdin(data, lambda: hook.main(composition, argv))


def with_stdin(data: bytes, work: Callable[[], int]) -> int:
    """What `work` returns with `data` in a pipe as its standard input, as libvirt gives it."""
    kept = os.dup(0)
    reads, writes = os.pipe()  # holds 64 KiB, more than any example has
    try:
        os.write(writes, data)
        os.close(writes)
        os.dup2(reads, 0)
        return work()
    finally:
        os.dup2(kept, 0)
        os.close(kept)
        os.close(reads)


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
def test_no_call_for_a_guest_that_is_not_managed_changes_anything_or_shows_a_bug(composition, before, argv, data):
    status = call(composition, argv, data)
    assert tree(composition.paths.root) == before
    assert status == 0 or (len(argv) > 1 and argv[1] == "prepare")
    assert "internal error" not in said(composition)


@given(NAMES, st.sampled_from([word for word in OPERATIONS if word != "prepare"]), XML)
def test_nothing_but_prepare_ever_ends_with_another_status_than_0(composition, guest, operation, data):
    assert call(composition, (guest, operation, "begin", "-"), data) == 0


def dispatch(composition: Composition, argv: tuple[str, ...], data: bytes) -> int:
    """The console script with `data` as its standard input."""
    return with_stdin(data, lambda: entry.dispatch(composition, argv))


@given(st.tuples(NAMES, st.sampled_from(["started", "reconnect"])), st.lists(ANY_TEXT, max_size=4), XML)
@example(("install", "reconnect"), ["begin", "-"], b"")
@example(("--help", "started"), [], b"")
def test_the_console_script_never_kills_a_guest_whatever_follows_its_operation(composition, before, argv, rest, data):
    assert dispatch(composition, ("hook", *argv, *rest), data) == 0
    assert tree(composition.paths.root) == before


WORDS = st.one_of(NAMES, st.sampled_from(OPERATIONS))
FROM_LIBVIRT = st.one_of(
    st.builds(
        lambda name, operation, rest: ("hook", name, operation, *rest),
        NAMES, st.sampled_from([word for (word,) in entry.OPERATIONS]), st.lists(WORDS, max_size=4),
    ),
    st.tuples(st.just("hook"), WORDS, WORDS, WORDS, WORDS),  # of an operation that we do not know
)  # fmt: skip


@given(FROM_LIBVIRT, XML)
def test_the_console_script_answers_any_call_of_libvirt_without_a_traceback_or_a_trace(composition, before, argv, data):
    assume(entry.is_from_libvirt(argv))
    status = dispatch(composition, argv, data)
    assert status == 0 or argv[2:3] == ("prepare",)
    assert tree(composition.paths.root) == before
    assert "internal error" not in said(composition)


@given(st.sampled_from(["uuid", "armed", "released", "undo.sh"]), st.binary(max_size=60), XML,
       st.sampled_from(["started", "reconnect", "release"]))  # fmt: skip
@example("uuid", UUID.encode(), DOMAIN, "reconnect")
@example("uuid", b"../../other", DOMAIN, "started")
def test_not_even_wrecked_books_of_a_running_guest_let_it_be_killed(composition, name, garbage, data, operation):
    marks, journal = composition.paths.guest_markers("win11"), composition.paths.boot_journal(UUID)
    for path, content in ((os.path.join(marks, name), garbage), (journal, data)):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as stream:
            stream.write(content)
    try:
        assert dispatch(composition, ("hook", "win11", operation, "begin", "-"), DOMAIN) == 0
    finally:
        shutil.rmtree(marks, ignore_errors=True)
        shutil.rmtree(os.path.dirname(journal))
        said(composition)


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
    log = said(composition)
    assert "internal error" not in log
    assert "win11 was not started: " in log
    assert "Nothing was changed. See what libvirt has with: virsh dumpxml win11" in log
