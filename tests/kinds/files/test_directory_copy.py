"""directory.copy: a new directory with some files of another one, as their owners', and nothing after its undo."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from step_builders import planned

from vfioctl.errors import StepFailed, StepRefused
from vfioctl.kinds.files import directory_copy
from vfioctl.kinds.files.directory_copy import KIND
from vfioctl.txn.step import State, Step, StepProposal

STATE = "tpm2/state"
PARAMS = {"source": "/srv/old", "dest": "/srv/new", "files": [STATE]}


@pytest.fixture
def machine(plain):
    return plain


@pytest.fixture
def srv(machine) -> Path:
    """A directory with the state of a TPM, and the copy of it that a snapshot keeps."""
    place = Path(machine.paths.at("/srv"))
    (place / "old/tpm2").mkdir(parents=True)
    (place / "old").chmod(0o711)
    (place / "old/tpm2").chmod(0o700)
    for name in (STATE, f"{STATE}.before"):
        (place / "old" / name).write_bytes(b"keys")
        (place / "old" / name).chmod(0o600)
    return place


def step(machine) -> Step:
    return planned(machine, "directory.copy", PARAMS)


def found(place: Path) -> list[str]:
    """Every file and directory, with its permissions."""
    return sorted(f"{path.relative_to(place)} {path.stat().st_mode & 0o777:o}" for path in place.rglob("*"))


def test_the_files_that_are_named_are_copied_with_their_directories(machine, srv: Path) -> None:
    one, before = step(machine), found(srv)
    assert KIND.probe(one, machine) is State.BEFORE
    assert KIND.apply(one, machine) is None
    assert KIND.probe(one, machine) is State.AFTER
    assert found(srv / "new") == ["tpm2 700", "tpm2/state 600"]
    assert (srv / "new").stat().st_mode & 0o777 == 0o711
    assert (srv / "new" / STATE).read_bytes() == b"keys"
    assert KIND.apply(one, machine) == f"{srv}/new is there already"
    assert KIND.undo(one, machine) is None
    assert found(srv) == before


@pytest.mark.parametrize("marked", [True, False], ids=["with marks", "where nothing can be marked"])
def test_what_a_crash_has_left_is_known_and_goes(
    machine, srv: Path, monkeypatch: pytest.MonkeyPatch, *, marked: bool
) -> None:
    if not marked:
        monkeypatch.setattr(directory_copy, "mark", lambda _fd, _operation: None)
        monkeypatch.setattr(directory_copy, "mark_of", lambda _path: None)
    one, before = step(machine), found(srv)
    monkeypatch.setattr(os, "rename", _crash)
    monkeypatch.setattr(directory_copy, "_remove", lambda _step, _place: None)
    with pytest.raises(KeyboardInterrupt):
        KIND.apply(one, machine)
    monkeypatch.undo()
    if not marked:
        monkeypatch.setattr(directory_copy, "mark_of", lambda _path: None)
    assert KIND.probe(one, machine) is State.BETWEEN
    KIND.undo(one, machine)
    assert found(srv) == before
    KIND.apply(one, machine)
    assert KIND.probe(one, machine) is State.AFTER
    KIND.undo(one, machine)
    assert found(srv) == before


def _crash(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_directory_of_somebody_else_stays(machine, srv: Path) -> None:
    one = step(machine)
    (srv / "new/tpm2").mkdir(parents=True)
    (srv / "new" / STATE).write_bytes(b"theirs")
    assert KIND.probe(one, machine) is State.FOREIGN
    with pytest.raises(StepRefused) as caught:
        KIND.apply(one, machine)
    assert caught.value.code == "file.exists"
    assert "not ours" in str(KIND.undo(one, machine))
    assert (srv / "new" / STATE).read_bytes() == b"theirs"
    assert [one.code for one in KIND.check(_proposal(), machine.host())] == ["file.exists"]


def test_what_somebody_else_has_put_into_the_copy_stays_and_is_named(machine, srv: Path) -> None:
    one = step(machine)
    KIND.apply(one, machine)
    (srv / "new/tpm2/theirs").write_bytes(b"")
    assert "something else in it" in str(KIND.undo(one, machine))
    assert found(srv / "new") == ["tpm2 700", "tpm2/theirs 644"]


@pytest.mark.parametrize(("make", "why"), [
    (lambda path: path.unlink(), "No such file"),
    (lambda path: (path.unlink(), path.symlink_to("/etc/shadow")), "plain file"),
    (lambda path: os.truncate(path, directory_copy.LARGEST + 1), "larger than 16 MiB"),
])  # fmt: skip
def test_what_cannot_be_copied_is_named_beforehand(machine, srv: Path, make, why: str) -> None:
    make(srv / "old" / STATE)
    (finding,) = KIND.check(_proposal(), machine.host())
    assert finding.code == "file.missing"
    assert why in finding.message


def test_a_file_that_is_gone_by_then_leaves_nothing(machine, srv: Path) -> None:
    one = step(machine)
    (srv / "old" / STATE).unlink()
    before = found(srv)
    with pytest.raises(StepFailed) as caught:
        KIND.apply(one, machine)
    assert caught.value.code == "file.copy_failed"
    assert found(srv) == before


@pytest.mark.parametrize("changed", [
    {"dest": "/etc/new"}, {"dest": "/srv/old"}, {"files": ["../x"]}, {"files": ["/etc/shadow"]}, {"files": ["a//b"]},
])  # fmt: skip
def test_what_would_lie_elsewhere_is_unfit(changed: dict[str, object]) -> None:
    assert KIND.unfit({**PARAMS, **changed})


def _proposal() -> StepProposal:
    return StepProposal(id="a", kind="directory.copy", params=PARAMS, reason="a test")
