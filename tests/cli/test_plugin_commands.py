"""Commands of plugins as the manifest lists them: shown, run, and left out where they are broken."""

from __future__ import annotations

import json

import pytest

from vfioctl.errors import VfioctlError
from vfioctl.paths import Paths
from vfioctl.verbs.listed import read
from vfioctl.verbs.load import load
from vfioctl.verbs.row import Row


@pytest.fixture
def manifest(root):
    """Writes a manifest with one command; its module is written too."""

    def write(target: str = "json:dumps", mode: int = 0o644) -> None:
        path = root / "var/lib/vfioctl/manifest.json"
        path.parent.mkdir(exist_ok=True)
        row = {"view": "", "effect": "change", "plugin": "more", "prints": True}
        rows = [{**row, "name": "extra", "target": target, "help": "Does more."},
                {**row, "name": "plan", "target": "a:b", "help": "No."}]  # fmt: skip
        path.write_text(json.dumps({"commands": rows, "groups": [], "stamps": []}))
        path.chmod(mode)

    return write


def test_a_plugins_command_stands_in_the_help_and_takes_no_name_of_ours(run, manifest) -> None:
    manifest()
    shown = run("--help").out
    assert "extra       Does more." in shown
    assert "No." not in shown


def test_a_plugins_command_runs(run, manifest, tmp_path, monkeypatch) -> None:
    module = "import click\n@click.command('extra')\ndef command():\n    click.echo('done more')\n"
    (tmp_path / "more_commands.py").write_text(module)
    monkeypatch.syspath_prepend(str(tmp_path))
    manifest("more_commands:command")
    shown = run("extra")
    assert (shown.status, shown.out) == (0, "done more\n")


@pytest.mark.parametrize("target", ["json:dumps", "no_such_module:x", "json:nothing"])
def test_a_command_that_cannot_be_loaded_is_named_and_costs_only_itself(run, manifest, target) -> None:
    manifest(target)
    shown = run("extra")
    assert shown.status == 1
    assert f"The command 'extra' of more ({target}) cannot be loaded" in shown.err
    assert run("history").status == 0


def test_a_manifest_that_others_can_write_adds_no_command(root, manifest) -> None:
    manifest(mode=0o666)
    assert read(Paths(str(root))).rows == ()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"commands": 3}', '{"commands": [{}]}'])
def test_a_damaged_manifest_adds_no_command(root, text) -> None:
    path = root / "var/lib/vfioctl/manifest.json"
    path.parent.mkdir()
    path.write_text(text)
    assert read(Paths(str(root))).rows == ()


def test_a_missing_command_of_ours_is_a_bug_and_not_a_plugins(run) -> None:
    with pytest.raises(ModuleNotFoundError):
        load(Row("x", "X.", "vfioctl.cli.commands.nowhere:command"))
    with pytest.raises(VfioctlError):
        load(Row("x", "X.", "nowhere:command"))
