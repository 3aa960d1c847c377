"""`vfioctl config add|unset|edit|set` as a person types them: what they say, and what the file says then."""

from __future__ import annotations

from pathlib import Path

import pytest

SIMPLE = "# mine\n"


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

    def leaves(text: str) -> None:
        program = tmp_path / "editor"
        (tmp_path / "text").write_text(text)
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


def test_an_editor_that_changes_nothing_changes_nothing(run, guest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VISUAL", "true")
    assert run("config", "edit", "--guest", "win11").out == "/etc/vfioctl/guests/win11.toml is unchanged.\n"


def test_a_variable_that_sets_nothing_is_told_with_the_nearest(run, guest) -> None:
    shown = run("config", "show", "win11", environ={"VFIOCTL_SESION": "end", "VFIOCTL_SESSION": "end", "PATH": "/bin"})
    assert shown.status == 0
    assert shown.err == 'warning: VFIOCTL_SESION sets nothing; did you mean "VFIOCTL_SESSION". [config.variable]\n'
