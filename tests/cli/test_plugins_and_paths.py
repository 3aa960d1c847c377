"""What is said of plugins that settings name, and of installations that others could change."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from vfioctl.txn.journal import Journal


@pytest.fixture
def host_file(root: Path):
    def write(text: str, name: str = "config.toml") -> None:
        file = root / "etc/vfioctl" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    return write


def row(run, name: str) -> dict:
    plugins = run("plugins", "list", "--format", "json").envelope["data"]["plugins"]
    return next(one for one in plugins if one["name"] == name)


def test_a_disabled_plugin_is_listed_as_disabled(run, host_file) -> None:
    host_file('disabled_plugins = ["nvidia", "generic"]\n')
    assert row(run, "nvidia")["status"] == "disabled"
    assert row(run, "generic")["status"] == "ok"
    assert row(run, "amdgpu")["status"] == "ok"
    assert "disabled" in run("plugins", "list").out


def test_a_plugin_that_one_guest_does_without_is_listed_with_that_guest(run, host_file) -> None:
    host_file('disabled_plugins = ["nvidia"]\n', "guests/win11.toml")
    assert (row(run, "nvidia")["status"], row(run, "nvidia")["disabled_for"]) == ("ok", ["win11"])
    assert "nvidia is disabled for win11" in run("plugins", "list").out


@pytest.mark.parametrize("text", ['disabled_plugins = ["nvidai"]\n', 'handler = "nvidai"\n'])
def test_the_name_of_no_plugin_is_found_by_validate(run, host_file, text) -> None:
    host_file(text)
    shown = run("config", "validate")
    assert shown.status == 3
    assert 'there is no plugin \'nvidai\'; did you mean "nvidia"? [plugin.unknown]' in shown.err
    assert "config.toml:1" in shown.err


@pytest.mark.parametrize("setting", ["disabled_plugins", "handler"])
def test_the_name_of_no_plugin_is_not_set(run, root, setting) -> None:
    shown = run("config", "set", setting, "nosuch")
    assert (shown.status, "[plugin.unknown]" in shown.err) == (3, True)
    assert not (root / "etc/vfioctl/config.toml").exists()


@pytest.mark.parametrize(("text", "why"), [
    ('disabled_plugins = ["generic"]\n', "config.toml:1: disabled_plugins: generic has the checks that hold for every"),
    ('disabled_plugins = ["nvidia"]\nhandler = "nvidia"\n', "config.toml:2: handler: the plugin nvidia is disabled by"),
])  # fmt: skip
def test_a_name_that_has_no_effect_is_found_by_validate(run, host_file, text, why) -> None:
    host_file(text)
    shown = run("config", "validate")
    assert (shown.status, "[plugin.no_effect]" in shown.err, why in shown.err) == (3, True, True), shown.err


def test_a_name_that_has_no_effect_is_not_set(run, root, host_file) -> None:
    shown = run("config", "add", "disabled_plugins", "generic")
    assert (shown.status, "[plugin.no_effect]" in shown.err) == (3, True)
    assert not (root / "etc/vfioctl/config.toml").exists()
    host_file('disabled_plugins = ["nvidia"]\n')
    assert "[plugin.no_effect]" in run("config", "set", "handler", "nvidia").err


def test_an_old_name_does_not_keep_another_setting_from_being_set(run, host_file) -> None:
    host_file('handler = "gone"\n')
    assert run("config", "set", "deadlines.prepare", "60").status == 0


def test_validate_lists_the_files_that_are_there(run, host_file) -> None:
    assert run("config", "validate").out == "There is no configuration file: the defaults count.\n"
    host_file("", "guests/win11.toml")
    files = run("config", "validate", "--format", "json").envelope["data"]["files"]
    assert [os.path.basename(file) for file in files] == ["win11.toml"]


def test_validate_checks_the_files_of_plugins_too(run, host_file) -> None:
    pytest.importorskip("vfioctl_guest")
    host_file('cpus = 0\nmemory = "2"\n', "profiles/small.toml")
    shown = run("config", "validate")
    assert (shown.status, shown.err.count("error:")) == (3, 2)
    assert "profiles/small.toml:1: cpus" in shown.err
    assert "profiles/small.toml:2: memory" in shown.err
    host_file("cpus = 1\n", "profiles/small.toml")
    assert "profiles/small.toml" in run("config", "validate").out


def test_validate_of_one_guest_leaves_the_files_of_plugins_out(run, host_file) -> None:
    host_file("cpus = 0\n", "profiles/small.toml")
    host_file("", "guests/win11.toml")
    assert run("config", "validate", "win11").status == 0


def test_validate_finds_a_guest_whose_file_is_a_link_to_nowhere(run, root, host_file) -> None:
    host_file("", "guests/linux.toml")
    (root / "etc/vfioctl/guests/win11.toml").symlink_to("/nowhere/win11.toml")
    shown = run("config", "validate")
    assert (shown.status, "a link to /nowhere/win11.toml" in shown.err) == (3, True)


def test_an_open_etc_is_named_with_what_closes_it(run, root) -> None:
    (root / "etc/libvirt").chmod(0o777)
    for command in ("install", "verify"):
        shown = run("hook", command)
        assert "/etc/libvirt can be written by others" in shown.err
        assert "chmod go-w /etc/libvirt" in shown.err
        assert "venv" not in shown.err


def test_an_open_hand_off_is_named_by_its_guest_when_the_hook_is_to_go(run, composition) -> None:
    from txn_builders import UUID, plan

    run("hook", "install")
    with Journal(composition.paths, UUID) as journal:
        journal.begin(plan(), "boot")
    shown = run("hook", "uninstall")
    assert (shown.status, "hand-off is not finished (win11)" in shown.err) == (3, True)


def test_a_damaged_record_is_told_in_words(run, root) -> None:
    (root / "var/lib/vfioctl/history").mkdir(parents=True)
    (root / "var/lib/vfioctl/history/20261121T000000-x.json").write_text("{\n")
    shown = run("history", "last")
    assert "cannot be read: line 2 is not JSON. [history.damaged]" in shown.err


def test_a_file_that_cannot_be_written_is_named_and_no_temporary_one(run, host_file, monkeypatch) -> None:
    host_file("")
    real = os.open

    def refuse(path, flags, *more, **named):
        if str(path).endswith(".new"):
            raise PermissionError(13, "Permission denied", path)
        return real(path, flags, *more, **named)

    monkeypatch.setattr(os, "open", refuse)
    shown = run("config", "set", "deadlines.prepare", "60")
    assert "/etc/vfioctl/config.toml: Permission denied. [os.failed]" in shown.err


def test_a_line_of_toml_that_ends_too_early_is_told_in_words(run, host_file) -> None:
    host_file('session = "end\n')
    shown = run("config", "validate")
    assert "config.toml:1: expected TOML: the line ends too early" in shown.err
    assert "\\n" not in shown.err
