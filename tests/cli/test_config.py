"""`vfioctl config add|unset|edit|set` as a person types them: what they say, and what the file says then."""

from __future__ import annotations

import os
import time
import tomllib
from pathlib import Path

import click
import pytest

from vfioctl.cli.app import main
from vfioctl.config import edit, store

SIMPLE = "# mine\n"
LATIN_1 = b"# f\xfcr mich\n"


@pytest.fixture
def guest(composition) -> Path:
    """The file of a managed guest."""
    file = Path(composition.paths.guest_config("win11"))
    file.parent.mkdir(parents=True)
    file.parent.chmod(0o755)
    file.write_text(SIMPLE)
    file.chmod(0o644)
    return file


@pytest.fixture
def editor(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """An editor that leaves this text."""

    def leaves(text: str | bytes) -> None:
        program = tmp_path / "editor"
        (tmp_path / "text").write_bytes(text.encode() if isinstance(text, str) else text)
        program.write_text(f'#!/bin/sh\ncp "{tmp_path}/text" "$1"\n')
        program.chmod(0o755)
        monkeypatch.setenv("VISUAL", str(program))

    return leaves


def test_a_list_grows_item_by_item_and_shrinks_again(run, guest) -> None:
    run("config", "add", "units", "a.service", "b.service", "--guest", "win11")
    assert 'units = ["a.service", "b.service"]' in guest.read_text()
    said = run("config", "unset", "units", "a.service", "--guest", "win11")
    assert said.out == "units is now b.service in /etc/vfioctl/guests/win11.toml; takes effect at the next start.\n"
    run("config", "unset", "units", "--guest", "win11")
    assert guest.read_text() == SIMPLE


def test_what_would_drop_items_is_refused_with_both_ways_out(run, guest) -> None:
    run("config", "set", "units", "a.service", "--guest", "win11")
    refused = run("config", "set", "units", "b.service", "--guest", "win11")
    assert refused.status == 3
    assert "vfioctl config add units b.service --guest win11" in refused.err
    assert "vfioctl config set --replace units b.service --guest win11" in refused.err
    assert run("config", "set", "units", "b.service", "--replace", "--guest", "win11").status == 0


def test_a_negative_number_is_a_value_and_no_option(run, guest) -> None:
    refused = run("config", "set", "deadlines.prepare", "-5", "--guest", "win11")
    assert refused.status == 3
    assert "expected a number from 1 to 3600, found '-5'" in refused.err


def test_an_edited_file_is_kept_when_it_is_right(run, guest, editor) -> None:
    editor('session = "end"\n')
    assert run("config", "edit", "--guest", "win11").status == 0
    assert guest.read_text() == 'session = "end"\n'


def test_an_edited_file_that_is_wrong_changes_nothing_and_loses_nothing(run, guest, editor) -> None:
    editor('sesion = "end"\n')
    refused = run("config", "edit", "--guest", "win11")
    assert refused.status == 3
    assert 'win11.toml:1: sesion: there is no such setting; did you mean "session"?' in refused.err
    assert guest.read_text() == SIMPLE
    assert Path(f"{guest}.rejected").read_text() == 'sesion = "end"\n'


def test_a_file_that_is_not_utf_8_is_edited_to_one_that_is(run, guest, editor) -> None:
    guest.write_bytes(LATIN_1)
    editor("# für mich\n")
    assert run("config", "edit", "--guest", "win11").status == 0
    assert guest.read_text() == "# für mich\n"


def test_an_editor_that_does_not_write_utf_8_changes_nothing_and_loses_nothing(run, guest, editor) -> None:
    editor(LATIN_1)
    refused = run("config", "edit", "--guest", "win11")
    assert refused.status == 3
    assert "win11.toml:1: expected UTF-8 text" in refused.err
    assert guest.read_text() == SIMPLE
    assert Path(f"{guest}.rejected").read_bytes() == LATIN_1


def test_an_editor_that_changes_nothing_changes_nothing(run, guest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VISUAL", "true")
    assert run("config", "edit", "--guest", "win11").out == "/etc/vfioctl/guests/win11.toml is unchanged.\n"


def test_a_file_that_was_changed_while_it_was_edited_is_not_overwritten_and_nothing_is_lost(
    run, guest, monkeypatch: pytest.MonkeyPatch
) -> None:
    def type_while_another_sets(text, **_):
        run("config", "set", "units", "a.service", "--guest", "win11")
        return text + b"# typed\n"

    monkeypatch.setattr(click, "edit", type_while_another_sets)
    refused = run("config", "edit", "--guest", "win11")
    assert refused.status == 3
    assert "was changed by somebody else while you edited it" in refused.err
    assert "with: diff /etc/vfioctl/guests/win11.toml /etc/vfioctl/guests/win11.toml.rejected" in refused.err
    assert "with: vfioctl config edit --guest win11" in refused.err
    assert guest.read_text() == f'{SIMPLE}units = ["a.service"]\n'
    assert Path(f"{guest}.rejected").read_text() == f"{SIMPLE}# typed\n"


def test_what_was_typed_is_kept_where_the_file_may_not_be_changed_any_more(
    run, guest, editor, composition, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "PATIENCE", 0.0)
    editor('session = "end"\n')
    with store.changing(composition.paths):
        refused = run("config", "edit", "--guest", "win11")
    assert "The configuration is being changed by process" in refused.err
    assert "Your text is kept in /etc/vfioctl/guests/win11.toml.rejected" in refused.err
    assert Path(f"{guest}.rejected").read_text() == 'session = "end"\n'


def test_items_that_are_added_at_once_are_all_kept(composition, guest, monkeypatch: pytest.MonkeyPatch) -> None:
    def slowly(file: str, text: str) -> None:
        time.sleep(0.1)
        store.write(file, text)

    monkeypatch.setattr(edit, "write", slowly)
    children = []
    for number in range(4):
        if not (pid := os.fork()):
            os._exit(main(composition, ("config", "add", "units", f"{number}.service", "--guest", "win11"), {}))
        children.append(pid)
    assert [os.waitpid(pid, 0)[1] for pid in children] == [0] * 4
    assert sorted(tomllib.loads(guest.read_text())["units"]) == [f"{number}.service" for number in range(4)]


def test_a_variable_that_sets_nothing_is_told_with_the_nearest(run, guest) -> None:
    shown = run("config", "show", "win11", environ={"VFIOCTL_SESION": "end", "VFIOCTL_SESSION": "end", "PATH": "/bin"})
    assert shown.status == 0
    assert shown.err == 'warning: VFIOCTL_SESION sets nothing; did you mean "VFIOCTL_SESSION". [config.variable]\n'
