"""Discovery: the manifest describes what is installed, notices when it does not, and imports no plugin."""

from __future__ import annotations

import json
import os
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest

from vfioctl.errors import VfioctlError
from vfioctl.paths import Paths
from vfioctl.plugin import manifest
from vfioctl.plugin.types import API_VERSION
from vfioctl.proc import Programs

STATIC = """
name = "{name}"
api = {api}
claims = ["10de:*"]
units = ["x.service"]
[config.depth]
type = "int"
default = 3
"""
CODE = '[[code]]\nname = "{}"\nmeaning = "It is bad."\nremedy = "Mend it."\n'


def command(**row: str) -> str:
    """Static data with one row `[[command]]`."""
    rows = {"name": "grow", "help": "Grow.", "target": "odd_pkg.verbs:grow", **row}
    return 'name = "odd"\napi = 1\n[[command]]\n' + "".join(f'{key} = "{value}"\n' for key, value in rows.items())


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(str(tmp_path / "root"))


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Install a plugin distribution into a directory on the path, as pip would lay it out."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))

    def do(name: str, static: str | None, *, distribution: str | None = None, module: str | None = None) -> Path:
        package = site / f"{name}_pkg"
        package.mkdir(exist_ok=True)
        (package / "__init__.py").write_text("raise RuntimeError('a plugin must not be imported by discovery')")
        (package / "plugin.py").write_text("raise RuntimeError('nor this')")
        if static is not None:
            (package / "vfioctl-plugin.toml").write_text(static)
        info = site / f"{(distribution or name).replace('-', '_')}-2.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution or name}\nVersion: 2.0\n")
        (info / "entry_points.txt").write_text(f"[vfioctl]\n{name} = {module or f'{name}_pkg.plugin'}\n")
        return package

    return do


def row(name: str):
    return manifest.build().plugin(name)


def test_a_plugin_is_described_without_being_imported(install):
    install("probe", STATIC.format(name="probe", api=API_VERSION))
    found = row("probe")
    assert (found.status, found.version, found.claims, found.units) == ("ok", "2.0", ("10de:*",), ("x.service",))
    assert found.table == {"depth": {"type": "int", "default": 3}}
    assert "probe_pkg" not in sys.modules


def test_the_operations_that_it_advises_on_are_in_the_manifest(install):
    target = "probe_pkg.recovery:advise"
    rows = f'[[operation]]\nname = "probe fill"\ntarget = "{target}"\n'
    install("probe", STATIC.format(name="probe", api=API_VERSION) + rows)
    assert row("probe").operations == {"probe fill": target}
    assert manifest.from_json(json.loads(json.dumps(manifest.to_json(manifest.build())))).plugin("probe").operations


def test_the_built_in_plugin_is_in_the_manifest():
    assert row("generic").status == "ok"


@pytest.mark.parametrize(
    ("static", "why"),
    [
        (None, "is missing"),
        ("name = ", "vfioctl-plugin.toml"),
        ('name = "odd"\napi = 99\n', "plugin API 99"),
        ('name = "other"\napi = 1\n', "its entry point"),
        ('api = 1\n', "name must be"),
        ('name = "odd"\n', "api must be"),
        ('name = "odd"\napi = 1\nclaims = ["nvidia"]\n', "claims must be"),
        ('name = "odd"\napi = 1\nclaims = ["10DE:*"]\n', "claims must be"),
        ('name = "odd"\napi = 1\nunits = [1]\n', "units must be"),
        ('name = "odd"\napi = 1\nmoon = 1\n', "unknown key moon"),
        ('name = "odd"\napi = 1\ncode = "odd.bad"\n', "code must be an array of tables"),
        ('name = "odd"\napi = 1\n[[code]]\nname = "odd.bad"\n', "each [[code]] must be meaning, name, remedy"),
        (f'name = "odd"\napi = 1\n{CODE.format("bad")}', "code 'bad' must be two words"),
        (f'name = "odd"\napi = 1\n{CODE.format("odd.Bad")}', "code 'odd.Bad' must be two words"),
        (f'name = "odd"\napi = 1\n{CODE.format("odd.bad") * 2}', "code odd.bad is there twice"),
        ('name = "odd"\napi = 1\nconfig = 3\n', "config must be"),
        ('name = "odd"\napi = 1\ncommand = 3\n', "command must be tables [[command]]"),
        (command(name="Grow"), "command 'Grow': name must be one to 3 words of small letters"),
        (command(name="a b c d"), "command 'a b c d': name must be"),
        (command(help=""), "command 'grow': help must be one line of text"),
        (command(help="\\u001b[2J"), "command 'grow': help must be one line of text"),
        (command(target="pkg.mod"), "command 'grow': target must be \"module:attribute\""),
        (command(view="x"), "command 'grow': view must be \"module:attribute\""),
        (command(effect="boil"), "command 'grow': effect must be one of read, change, destroy"),
        (command(terminal="yes"), "command 'grow': terminal must be true or false"),
        (command(moon="1"), "command 'grow' has the unknown key moon"),
        (command() + '[[command]]\nname = "grow"\nhelp = "x"\ntarget = "a:b"\n', "command 'grow' stands there twice"),
        ('name = "odd"\napi = 1\n[[group]]\nname = "x"\n', "group 'x': help must be"),
        ('name = "odd"\napi = 1\n[[operation]]\nname = "x"\n', "operation 'x': target must be"),
        ('name = "odd"\napi = 1\n[config.x]\ntype = "tree"\n', "config.x.type"),
        ('name = "odd"\napi = 1\n[config.x]\ntype = "int"\ndefault = "a"\n', "config.x.default"),
        ('name = "odd"\napi = 1\n[config.x]\ntype = "int"\nmoon = 1\n', "config.x must be"),
    ],
)
def test_a_plugin_with_unusable_static_data_is_listed_as_broken_with_the_reason(install, static, why):
    install("odd", static)
    assert row("odd").status.startswith("broken: ")
    assert why in row("odd").status


def test_an_error_that_nobody_has_thought_of_costs_its_plugin_and_no_other(install, monkeypatch):
    for name in ("odd", "probe"):
        install(name, STATIC.format(name=name, api=API_VERSION))
    read = manifest.read_static

    def fail(directory: str):
        return {}["moon"] if "odd_pkg" in directory else read(directory)

    monkeypatch.setattr(manifest, "read_static", fail)
    assert row("odd").status.endswith("vfioctl-plugin.toml: KeyError: 'moon'")
    assert row("probe").status == "ok"


def test_a_plugin_that_others_could_change_is_broken_and_so_never_imported(install):
    """An editable installation may lie in somebody's home."""
    package = install("open", STATIC.format(name="open", api=API_VERSION))
    (package / "plugin.py").chmod(0o646)
    assert row("open").status == f"broken: {package}/plugin.py can be written by others"


def test_a_plugin_whose_package_is_gone_is_broken(install):
    install("gone", None, module="no_such_package.plugin")
    assert "not importable" in row("gone").status


def test_an_entry_point_that_names_no_module_costs_its_plugin_and_no_other(install):
    install("odd", STATIC.format(name="odd", api=API_VERSION), module="odd-pkg.plugin")
    package = install("probe", STATIC.format(name="probe", api=API_VERSION))
    declared = package.parent / "probe-2.0.dist-info/entry_points.txt"
    declared.write_text(f"{declared.read_text()}[vfioctl.commands]\ngrow = probe-pkg.verbs:grow\n")
    assert row("odd").status == "broken: the package of odd-pkg.plugin is not importable"
    assert row("probe").status == "ok"
    left_out = manifest.build().left_out
    assert left_out == ("The command grow is left out: 'probe-pkg.verbs:grow' names no function of a module.",)


def test_two_distributions_with_one_plugin_name_are_broken_rather_than_one_winning_by_chance(install):
    install("twin", STATIC.format(name="twin", api=1), distribution="first")
    install("twin", STATIC.format(name="twin", api=1), distribution="second")
    assert "both call themselves twin" in row("twin").status


def test_a_plugin_with_the_name_of_one_of_ours_is_left_out_with_its_commands_and_ours_stays(install):
    commands = '[[command]]\nname = "grow"\nhelp = "Grow."\ntarget = "generic_pkg.verbs:grow"\n'
    install("generic", STATIC.format(name="generic", api=1) + commands, distribution="vfioctl-odd")
    built = manifest.build()
    ours = built.plugin("generic")
    assert (ours.distribution, ours.status) == ("vfioctl", "ok")
    assert "grow" not in {one["name"] for one in built.commands}
    said = "The plugin generic of vfioctl-odd is left out: generic is the name of one of vfioctl's own."
    assert built.left_out == (said,)


def test_what_is_written_is_read_back(paths):
    built = manifest.build()
    manifest.write(paths, built)
    assert manifest.load(paths, Programs(""), ["/bin/false"]) == built


def test_every_user_may_read_what_is_written(paths):
    manifest.write(paths, manifest.build())
    assert Path(paths.state).stat().st_mode & 0o777 == 0o755


def refresher(paths: Paths, tmp_path: Path) -> list[str]:
    """A child that does what `plugins refresh` does."""
    script = tmp_path / "refresh.py"
    script.write_text(textwrap.dedent(f"""
        from vfioctl.paths import Paths
        from vfioctl.plugin import manifest
        manifest.write(Paths({paths.root!r}), manifest.build())
    """))
    return [sys.executable, "-I", str(script)]


def test_a_missing_manifest_is_rebuilt_by_the_child_and_says_why(paths, tmp_path):
    loaded = manifest.load(paths, Programs(""), refresher(paths, tmp_path))
    assert loaded.plugin("generic") is not None
    assert loaded.rebuilt == "it is missing"


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda path: path.write_text("{"), "cannot be read"),
        (lambda path: path.write_text('{"format": 9}'), "cannot be read"),
        (lambda path: path.write_text("[]"), "cannot be read"),
        (lambda path: path.chmod(0o666), "can be written by others"),
        (lambda path: path.write_text(json.dumps({**json.loads(path.read_text()), "interpreter": "/old"})), "/old"),
    ],
)
def test_a_manifest_that_cannot_be_trusted_is_rebuilt(paths, tmp_path, spoil, why):
    manifest.write(paths, manifest.build())
    spoil(Path(paths.manifest))
    assert why in manifest.load(paths, Programs(""), refresher(paths, tmp_path)).rebuilt


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_manifest_of_another_user_is_rebuilt(paths, tmp_path):
    manifest.write(paths, manifest.build())
    os.chown(paths.manifest, 4321, 4321)
    assert "uid 4321" in manifest.load(paths, Programs(""), refresher(paths, tmp_path)).rebuilt


def test_a_changed_stamp_makes_it_stale(tmp_path):
    built = manifest.build()
    assert built.stale() == ""
    first = built.stamps[0]
    changed = replace(built, stamps=(replace(first, mtime=first.mtime + 1), *built.stamps[1:]))
    assert f"{first.path} has changed" in changed.stale()


def test_a_new_site_directory_makes_it_stale():
    built = manifest.build()
    known = set(manifest.site_dirs())
    assert "is new" in replace(built, stamps=tuple(s for s in built.stamps if s.path not in known)).stale()


def test_an_edited_static_file_makes_it_stale(install):
    package = install("probe", STATIC.format(name="probe", api=1))
    built = manifest.build()
    (package / "vfioctl-plugin.toml").unlink()
    assert "vfioctl-plugin.toml has changed" in built.stale()


def test_a_child_that_fails_is_told_with_what_it_said(paths):
    with pytest.raises(VfioctlError) as failed:
        manifest.load(paths, Programs(""), ["/bin/sh", "-c", "echo no room >&2; exit 3"])
    assert failed.value.code == "plugin.manifest"
    assert "no room" in failed.value.message


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_who_may_not_write_it_gets_one_that_is_not_kept():
    child = os.fork()
    if child == 0:
        try:
            os.setuid(65534)
            loaded = manifest.load(Paths("/nonexistent"), Programs(""), ["/bin/false"])
            os._exit(0 if loaded.plugin("generic") and loaded.rebuilt == "it is missing" else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.parametrize("module", ["no_such_top.plugin", "vfioctl.no_such_part.plugin", "this", ".relative"])
def test_a_module_that_is_in_no_package_is_not_located(module):
    assert manifest.locate(module) is None


def test_a_package_as_hook_module_is_located_at_its_own_directory():
    assert manifest.locate("vfioctl.plugin").endswith("vfioctl/plugin")
    assert manifest.locate("vfioctl.plugin.generic") == manifest.locate("vfioctl.plugin")


@pytest.mark.parametrize(
    ("script", "why"), [("sleep 9", "that takes longer than 0.2 s"), ("echo torn >&2; exit 1", "torn")]
)
def test_a_search_that_does_not_end_well_is_said_in_one_sentence(tmp_path, monkeypatch, script, why):
    monkeypatch.setattr(manifest, "SCAN_DEADLINE", 0.2 if "sleep" in script else 9.0)
    interpreter = tmp_path / "python"
    interpreter.write_text(f"#!/bin/sh\n{script}\n")
    interpreter.chmod(0o755)
    with pytest.raises(VfioctlError, match=f"^The plugins cannot be searched for: .*{why}.*\\.$"):
        manifest.isolated(Programs("/usr/bin:/bin"), (str(interpreter),))


def test_a_child_that_writes_nothing_is_told(paths):
    with pytest.raises(VfioctlError, match="it is missing"):
        manifest.load(paths, Programs(""), ["/bin/true"])


def test_a_child_that_hangs_after_it_has_written_is_not_waited_for_in_vain(paths, tmp_path, monkeypatch):
    """It imports every command as well, and one of a plugin may not come back."""
    monkeypatch.setattr(manifest, "REBUILD_DEADLINE", 3.0)
    script = Path(refresher(paths, tmp_path)[-1])
    script.write_text(script.read_text() + "import time; time.sleep(60)\n")
    assert manifest.load(paths, Programs(""), [sys.executable, "-I", str(script)]).plugin("generic")


def test_a_child_that_hangs_before_that_is_told(paths, monkeypatch):
    monkeypatch.setattr(manifest, "REBUILD_DEADLINE", 0.2)
    with pytest.raises(VfioctlError, match=r"cannot be rebuilt: .*0\.2 s") as failed:
        manifest.load(paths, Programs("/usr/bin:/bin"), ["sleep", "60"])
    assert failed.value.code == "plugin.manifest"


def test_claims_match_vendor_and_device():
    from vfioctl.plugin.static import claims_match

    assert claims_match(("10de:*",), 0x10DE, 0x2204)
    assert claims_match(("*:*",), 1, 2)
    assert claims_match(("1002:73bf",), 0x1002, 0x73BF)
    assert not claims_match(("1002:73bf", "10de:*"), 0x1002, 0x73A0)
