"""The verb that docs/plugins/operations.md shows works as the page says."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType

import pytest

from vfioctl.actions.caller import Call, Caller
from vfioctl.actions.errors import Unconfirmed
from vfioctl.testing.entry import composition

PAGE = Path(__file__).parents[2] / "docs/plugins/operations.md"


@pytest.fixture
def verb() -> ModuleType:
    block = re.search(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert block
    module = ModuleType("shelf")
    exec(block[1], module.__dict__)
    return module


@pytest.fixture
def note(tmp_path: Path) -> Path:
    (tmp_path / "proc/sys/kernel/random").mkdir(parents=True)
    (tmp_path / "proc/sys/kernel/random/boot_id").write_text("first\n")
    (tmp_path / ".kit").mkdir()
    (tmp_path / "etc/motd.d").mkdir(parents=True)
    return tmp_path / "etc/motd.d/shelf"


def fill(verb: ModuleType, root: Path, **flags: bool):
    call = Call(composition(str(root)), Caller(0), "shelf fill")
    return verb.fill.callback.__wrapped__(call, "Read me", **{"yes": False, "dry_run": False, **flags})


def test_the_note_is_written_when_it_is_agreed_to(verb, note, tmp_path):
    assert fill(verb, tmp_path, yes=True).data["operation"]["ok"]
    assert note.read_text() == "Read me\n"


def test_nothing_is_written_without_an_answer(verb, note, tmp_path):
    with pytest.raises(Unconfirmed, match="nobody is there to be asked"):
        fill(verb, tmp_path)
    assert not note.exists()


def test_the_data_of_a_dry_run_has_the_keys_of_the_page(verb, note, tmp_path):
    data = fill(verb, tmp_path, dry_run=True).data
    assert sorted(data) == sorted(re.findall(r"^\| `(\w+)` \|", PAGE.read_text(), re.MULTILINE))
    assert not note.exists()
