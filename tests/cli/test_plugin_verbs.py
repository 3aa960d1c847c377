"""A plugin with verbs of its own: one declaration serves help, completion, views, JSON and the lists."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from distributions import distribution

from vfioctl import guard
from vfioctl.cli import man
from vfioctl.cli.app import App
from vfioctl.plugin import manifest
from vfioctl.plugin.types import API_VERSION
from vfioctl.verbs.listed import of
from vfioctl.verbs.merged import merged
from vfioctl.verbs.row import Row
from vfioctl.verbs.table import BUILT_IN

STATIC = f"""
name = "garden"
api = {API_VERSION}
summary = "Grows things"

[[group]]
name = "plant"
help = "Grow things."

[[command]]
name = "plant sow"
help = "Sow a seed."
target = "garden_pkg.verbs:sow"
view = "garden_pkg.verbs:sown"
effect = "change"

[[command]]
name = "plant list"
help = "List what grows."
target = "garden_pkg.verbs:grows"
effect = "read"

[[command]]
name = "plant burn"
help = "Burn everything."
target = "garden_pkg.broken:burn"
effect = "destroy"

[[command]]
name = "gpu water"
help = "Water a card."
target = "garden_pkg.verbs:silent"
"""
VERBS = """
import click
from vfioctl.plugin import Result, Table

@click.command()
@click.argument("seed")
@click.option("--depth", type=int, default=3, show_default=True, help="How deep, in cm.")
@click.option("--kind", type=click.Choice(["tree", "herb"]), multiple=True, help="Of which kind.")
@click.option("--trace", is_flag=True, hidden=True)
def sow(seed, depth, kind, trace):
    '''Sow a seed.'''
    return Result(data={"seed": seed, "depth": depth})

def sown(data):
    yield f"{data['seed']} lies {data['depth']} cm deep."

@click.command()
def grows():
    return Result(data={"plants": [{"name": "oak", "tall": True}, {"name": "ash", "place": {"row": 2}}]})

class Strange(click.ParamType):
    name = "strange"

    def get_metavar(self, *args, **more):
        raise RuntimeError("no word for it")

class Odd(click.Option):
    def get_default(self, *args, **more):
        raise RuntimeError("no default today")

@click.command()
@click.option("--size", type=Strange(), cls=Odd)
def strange(size):
    return Result(data={"size": size})

@click.command()
def silent():
    click.echo("done")

def tabled(data):
    yield "Sown:"
    yield Table(("seed", "depth"), ((data["seed"], str(data["depth"])),))

def wilts(data):
    raise ValueError("no light")

@click.command()
def leaves():
    raise SystemExit(0)

def left(data):
    yield "one"
    raise SystemExit(0)
"""
FILES = {
    "garden_pkg/__init__.py": "",
    "garden_pkg/plugin.py": "",
    "garden_pkg/verbs.py": VERBS,
    "garden_pkg/broken.py": "import no_such_thing\n",
    "garden_pkg/vfioctl-plugin.toml": STATIC,
}
OLD = """
import click
@click.command("old")
def command():
    click.echo("printed by itself")
"""
OLD_RESULT = """
import click
from vfioctl.cli.result import Result
@click.command("old")
def command():
    return Result("old", {"age": 3})
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A directory that Python imports from; what was imported from it is forgotten."""
    place = tmp_path / "site"
    place.mkdir()
    monkeypatch.syspath_prepend(str(place))
    yield place
    for name in [name for name in sys.modules if name.partition(".")[0] in ("garden_pkg", "other_pkg", "old_pkg")]:
        del sys.modules[name]


@pytest.fixture
def garden(site: Path, composition) -> Path:
    """The plugin `garden`, listed by the manifest."""
    distribution(site, "vfioctl-garden", FILES, "[vfioctl]\ngarden = garden_pkg.plugin\n")
    write(composition)
    return site


def write(composition) -> None:
    manifest.write(composition.paths, manifest.build())


def other(site: Path, static: str) -> None:
    """A second plugin, `other`, which declares `static`."""
    files = {"other_pkg/__init__.py": "", "other_pkg/plugin.py": "",
             "other_pkg/vfioctl-plugin.toml": f'name = "other"\napi = 1\n{static}'}  # fmt: skip
    distribution(site, "vfioctl-other", files, "[vfioctl]\nother = other_pkg.plugin\n")


def imported() -> set[str]:
    return {name for name in sys.modules if name.startswith("garden_pkg")}


def plugin_row(run, name: str) -> dict:
    return next(row for row in run("plugins", "list", "--format", "json").envelope["data"]["plugins"]
                if row["name"] == name)  # fmt: skip


# ---------------------------------------------------------------- help, completion, man page


def test_help_shows_a_new_group_and_what_joins_an_old_one_and_imports_nothing(run, garden) -> None:
    assert "  plant       Grow things.\n" in run("--help").out
    assert "  water    Water a card.\n" in run("gpu", "--help").out
    assert [line.split()[0] for line in run("plant", "--help").out.splitlines()[-3:]] == ["sow", "list", "burn"]
    assert imported() == set()


def test_a_group_without_a_row_of_its_own_gets_the_help_of_its_first_command() -> None:
    row = BUILT_IN.rows[0]._replace(name="plant sow", help="Sow a seed.", plugin="garden")
    verbs, _ = merged(BUILT_IN, (row,))
    assert verbs.below()[-1].help == "Sow a seed."


def test_help_of_a_verb_has_the_shared_options(run, garden) -> None:
    shown = run("plant", "sow", "--help").out
    assert "Usage: vfioctl plant sow [OPTIONS] SEED" in shown
    assert "--format" in shown


def test_completion_offers_the_verbs_without_importing_them(garden, composition, tmp_path) -> None:
    code = (
        "import sys\n"
        f"sys.path.insert(0, {str(garden)!r})\n"
        "from vfioctl.entry import dispatch\n"
        "from vfioctl.compose import compose\n"
        f"try: dispatch(compose({composition.paths.root!r}), [])\n"
        "finally: print([name for name in sys.modules if name.startswith('garden')], file=sys.stderr)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False,
        env={"_VFIOCTL_COMPLETE": "bash_complete", "COMP_WORDS": "vfioctl plant ", "COMP_CWORD": "2"},
    )  # fmt: skip
    assert ended.stdout.split() == ["plain,sow", "plain,list", "plain,burn"]
    assert ended.stderr == "[]\n"


def test_the_man_page_of_an_installation_has_the_verbs_of_plugins_and_what_rows_say_of_broken_ones(
    garden, composition
) -> None:
    shown = man.pages(App(composition, {}).verbs)["vfioctl-plant"]
    assert ".SS vfioctl plant sow [OPTIONS] SEED\n" in shown
    assert ".B \\-\\-depth INTEGER" in shown
    assert ".SS vfioctl plant burn\n" in shown


# ---------------------------------------------------------------- results


def test_a_view_makes_the_text_and_the_envelope_has_the_verbs_name(run, garden) -> None:
    assert run("plant", "sow", "oak").whole == "oak lies 3 cm deep.\nexit 0\n"
    shown = run("plant", "sow", "oak", "--depth", "5", "--format", "json").envelope
    assert (shown["command"], shown["data"]) == ("plant sow", {"seed": "oak", "depth": 5})


def test_a_verb_without_a_view_is_shown_as_a_table(run, garden) -> None:
    lines = [line.split() for line in run("plant", "list").out.splitlines()]
    assert lines[0] == ["name", "tall", "place.row"]
    assert lines[2:4] == [["oak", "yes", "-"], ["ash", "-", "2"]]


def test_a_view_may_give_a_table_which_is_drawn_as_every_other_one(run, site, composition) -> None:
    tabled = {**FILES, "garden_pkg/vfioctl-plugin.toml": STATIC.replace("verbs:sown", "verbs:tabled")}
    distribution(site, "vfioctl-garden", tabled, "[vfioctl]\ngarden = garden_pkg.plugin\n")
    write(composition)
    title, heads, line, row = run("plant", "sow", "oak").out.splitlines()
    assert (title, heads.split(), set(line), row.split()) == ("Sown:", ["seed", "depth"], {"─"}, ["oak", "3"])


def test_a_view_that_fails_does_not_hide_what_was_done(run, site, composition) -> None:
    broken = {**FILES, "garden_pkg/vfioctl-plugin.toml": STATIC.replace("verbs:sown", "verbs:wilts")}
    distribution(site, "vfioctl-garden", broken, "[vfioctl]\ngarden = garden_pkg.plugin\n")
    write(composition)
    shown = run("plant", "sow", "oak")
    assert (shown.status, shown.out) == (0, "seed: oak\ndepth: 3\n")
    assert "'plant sow' is shown plainly, since its view failed: no light [plugin.command_broken]" in shown.err


def test_a_view_that_ends_the_process_does_not_hide_what_was_done(run, site, composition) -> None:
    broken = {**FILES, "garden_pkg/vfioctl-plugin.toml": STATIC.replace("verbs:sown", "verbs:left")}
    distribution(site, "vfioctl-garden", broken, "[vfioctl]\ngarden = garden_pkg.plugin\n")
    write(composition)
    shown = run("plant", "sow", "oak")
    assert (shown.status, shown.out) == (0, "seed: oak\ndepth: 3\n")
    assert "since its view failed: it calls sys.exit [plugin.command_broken]" in shown.err


def test_a_verb_that_ends_the_process_is_an_error_and_not_silence(run, site, composition) -> None:
    broken = {**FILES, "garden_pkg/vfioctl-plugin.toml": STATIC.replace("verbs:silent", "verbs:leaves")}
    distribution(site, "vfioctl-garden", broken, "[vfioctl]\ngarden = garden_pkg.plugin\n")
    write(composition)
    shown = run("gpu", "water")
    assert shown.status == 1
    assert "gave back no Result: it calls sys.exit. [plugin.command_broken]" in shown.err


def test_a_verb_that_gives_back_no_result_is_an_error_and_not_silence(run, garden) -> None:
    shown = run("gpu", "water")
    assert shown.status == 1
    assert "The command 'gpu water' of the plugin garden gave back NoneType, no Result. [plugin.command_broken]" \
        in shown.err  # fmt: skip


def test_a_broken_sibling_costs_only_itself(run, garden) -> None:
    shown = run("plant", "burn")
    assert shown.status == 1
    assert "No module named 'no_such_thing'. [plugin.command_broken]" in shown.err
    assert run("plant", "sow", "oak").status == 0


def test_the_wrong_option_of_a_verb_is_a_usage_error_of_that_verb(run, garden) -> None:
    shown = run("plant", "sow", "--format", "json", "--dept", "3", "oak")
    assert (shown.status, shown.envelope["command"]) == (2, "plant sow")
    assert "--depth" in shown.envelope["errors"][0]["message"]


def test_a_command_whose_import_hangs_is_given_up(run, site, composition, monkeypatch) -> None:
    monkeypatch.setattr("vfioctl.guard.call", partial(guard.call, alarm=0.2))
    hangs = {**FILES, "garden_pkg/broken.py": "import time\ntime.sleep(60)\n"}
    distribution(site, "vfioctl-garden", hangs, "[vfioctl]\ngarden = garden_pkg.plugin\n")
    write(composition)
    commands = {row["name"]: row for row in plugin_row(run, "garden")["commands"]}
    assert commands["plant burn"]["status"].endswith("its import did not return within 0.2 s.")
    assert commands["plant sow"]["status"] == "ok"


# ---------------------------------------------------------------- lists


def test_plugins_list_shows_each_command_and_which_is_broken(run, garden) -> None:
    commands = {row["name"]: row for row in plugin_row(run, "garden")["commands"]}
    assert {name: row["status"].partition(":")[0] for name, row in commands.items()} == {
        "plant sow": "ok", "plant list": "ok", "plant burn": "broken", "gpu water": "ok",
    }  # fmt: skip
    assert commands["plant burn"]["effect"] == "destroy"
    shown = run("plugins", "list")
    assert "garden adds: plant sow, plant list, gpu water" in shown.out
    assert "No module named 'no_such_thing'. [plugin.command_broken]" in shown.err


def test_a_name_of_ours_stays_ours_and_only_plugins_list_says_so(run, garden, composition) -> None:
    other(garden, '[[command]]\nname = "plan"\nhelp = "No."\ntarget = "other_pkg.verbs:x"\n')
    write(composition)
    assert "No." not in run("--help").whole
    text = "The command 'plan' of the plugin other is left out: vfioctl has 'plan'."
    assert f"{text} [plugin.command_clash]" in run("plugins", "list").err
    shown = run("plugins", "list", "--format", "json").envelope
    assert ("plugin.command_clash", text) in [(one["code"], one["text"]) for one in shown["messages"]]
    assert plugin_row(run, "other")["commands"][0]["status"] == "left out: vfioctl has 'plan'"


@pytest.mark.parametrize("name", ["run", "finish", "deadman", "hook lint"])
def test_a_name_that_is_answered_before_any_verb_is_taken(name):
    verbs, (clash,) = merged(BUILT_IN, [Row(name, "Lint.", "garden_pkg.verbs:sow", plugin="garden")])
    assert (verbs.rows, clash.why) == (BUILT_IN.rows, f"vfioctl has {name.split()[0]!r}")


def test_of_two_plugins_the_first_by_name_keeps_the_verb(run, garden, composition) -> None:
    other(garden, '[[command]]\nname = "plant sow"\nhelp = "No."\ntarget = "other_pkg.verbs:x"\n')
    write(composition)
    assert run("plant", "sow", "oak").out == "oak lies 3 cm deep.\n"
    assert "'plant sow' of the plugin other is left out: garden has 'plant sow'." in run("plugins", "list").err


@pytest.mark.parametrize("name", ["gpu", "list all"])
def test_a_verb_cannot_have_the_name_of_a_group_nor_be_below_a_verb(name: str, run, garden, composition) -> None:
    other(garden, f'[[command]]\nname = "{name}"\nhelp = "No."\ntarget = "other_pkg.verbs:x"\n')
    write(composition)
    assert f"The command {name!r} of the plugin other is left out" in run("plugins", "list").err
    assert "No." not in run("gpu", "--help").whole


def test_a_distribution_with_commands_and_no_hooks_is_listed(run, site, composition) -> None:
    files = {"old_pkg/__init__.py": "", "old_pkg/cli.py": OLD}
    distribution(site, "vfioctl-old", files, "[vfioctl.commands]\nold = old_pkg.cli:command\n", summary="Old things.")
    write(composition)
    row = plugin_row(run, "vfioctl-old")
    assert (row["version"], row["status"], row["commands"][0]["name"]) == ("1.5", "ok", "old")
    assert "  old         Old things.\n" in run("--help").out
    assert run("old").out == "printed by itself\n"


def test_a_command_of_api_1_may_give_back_a_result_and_it_is_shown(run, site, composition) -> None:
    files = {"old_pkg/__init__.py": "", "old_pkg/cli.py": OLD_RESULT}
    distribution(site, "vfioctl-old", files, "[vfioctl.commands]\nold = old_pkg.cli:command\n")
    write(composition)
    assert run("old").out == "age: 3\n"


# ---------------------------------------------------------------- without a manifest


def test_without_a_manifest_the_help_says_so_and_a_user_runs_them_all_the_same(
    run, garden, composition, monkeypatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 4321)  # root looks only where the hook's interpreter would
    Path(composition.paths.manifest).unlink()
    shown = run("--help").out
    assert "Commands of plugins may be missing here: the list of plugins is missing." in " ".join(shown.split())
    assert run("plant", "sow", "oak").out == "oak lies 3 cm deep.\n"
    assert not Path(composition.paths.manifest).exists()


def test_a_plugin_that_was_installed_since_is_announced_by_the_help(run, garden, composition) -> None:
    assert "may be missing here" not in run("--help").out
    data = json.loads(Path(composition.paths.manifest).read_text())
    data["stamps"][0]["mtime"] -= 1
    Path(composition.paths.manifest).write_text(json.dumps(data))
    shown = run("--help").out
    assert "something was installed or removed since the list of plugins was made" in " ".join(shown.split())
    assert "  plant " in shown


# ---------------------------------------------------------------- verb list


def test_verb_list_describes_every_parameter(run, garden) -> None:
    verbs = {row["name"]: row for row in run("verb", "list", "--format", "json").envelope["data"]["verbs"]}
    seed, depth, kind = verbs["plant sow"]["parameters"]
    assert seed == {
        "name": "seed", "kind": "argument", "flags": [], "type": "text", "required": True, "default": None,
        "choices": [], "multiple": False, "help": "",
    }  # fmt: skip
    assert depth == {
        "name": "depth", "kind": "option", "flags": ["--depth"], "type": "integer", "required": False, "default": 3,
        "choices": [], "multiple": False, "help": "How deep, in cm.",
    }  # fmt: skip
    assert (kind["choices"], kind["multiple"], kind["type"]) == (["tree", "herb"], True, "choice")
    assert (verbs["plant sow"]["effect"], verbs["plant sow"]["plugin"]) == ("change", "garden")


def test_verb_list_has_every_verb_and_the_error_of_one_that_cannot_be_loaded(run, garden) -> None:
    verbs = {row["name"]: row for row in run("verb", "list", "--format", "json").envelope["data"]["verbs"]}
    assert list(verbs)[: len(BUILT_IN.rows)] == [row.name for row in BUILT_IN.rows if not row.hidden]
    assert verbs["plant burn"]["error"]["code"] == "plugin.command_broken"
    assert all(row["error"] is None for name, row in verbs.items() if name != "plant burn")


def test_a_verb_whose_parameters_cannot_be_described_costs_only_its_row(run, site, composition) -> None:
    odd = {**FILES, "garden_pkg/vfioctl-plugin.toml": STATIC.replace("verbs:silent", "verbs:strange")}
    distribution(site, "vfioctl-garden", odd, "[vfioctl]\ngarden = garden_pkg.plugin\n")
    write(composition)
    verbs = {row["name"]: row for row in run("verb", "list", "--format", "json").envelope["data"]["verbs"]}
    assert "no default today" in verbs["gpu water"]["error"]["message"]
    assert verbs["plant sow"]["error"] is None
    assert "gpu water" in man.pages(App(composition, {}).verbs)["vfioctl-gpu"].replace("\\", "")


def test_verb_list_as_text_names_effect_and_help(run, garden) -> None:
    lines = run("verb", "list").out.splitlines()
    assert any(line.split() == ["plant", "sow", "change", "Sow", "a", "seed."] for line in lines)


def test_what_the_manifest_keeps_is_what_was_declared(garden) -> None:
    listed = of(manifest.to_json(manifest.build()))
    row = next(row for row in listed.rows if row.name == "plant sow")
    assert row == ("plant sow", "Sow a seed.", "garden_pkg.verbs:sow", "garden_pkg.verbs:sown", "change", False,
                   "garden", False, False)  # fmt: skip
    assert ("plant", "Grow things.") in listed.groups
