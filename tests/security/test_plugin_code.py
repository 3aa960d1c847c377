"""A plugin or a command whose code others can change is not imported as root: judged again right before the import."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from access_lists import grant
from hand_offs import BY_NAME, GUEST, Stage
from installations import COMMAND, Installation, SparePlugin, with_command

from vfioctl.frozen import replace
from vfioctl.testing.host import FakeHost

NOBODY = 65534
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="what root imports is root's to try")
Open = Callable[[Path], object]


def _elsewhere(path: Path) -> None:
    """A link in its place to a file of another user."""
    theirs = path.with_name(f"{path.name}.theirs")
    path.rename(theirs)
    os.chown(theirs, NOBODY, NOBODY)
    path.symlink_to(theirs.name)


FINDER = """\
import sys
from importlib.util import spec_from_file_location as spec

class Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == "vfioctl_spare":
            return spec(name, {package!r} + "/__init__.py", submodule_search_locations=[{package!r}])

sys.meta_path.append(Finder)
"""
WAYS: dict[str, tuple[str, Open]] = {
    "module": ("plugin.py", lambda path: path.chmod(0o666)),
    "group": ("plugin.py", lambda path: path.chmod(0o664)),
    "list": ("plugin.py", lambda path: grant(path, NOBODY)),
    "owner": ("plugin.py", lambda path: os.chown(path, NOBODY, 0)),
    "link": ("plugin.py", _elsewhere),
    "init": ("__init__.py", lambda path: path.chmod(0o666)),
    "package": (".", lambda path: path.chmod(0o777)),
    "package list": (".", lambda path: grant(path, NOBODY)),
    "part": ("parts/later.py", lambda path: path.chmod(0o666)),
    "parts": ("parts", lambda path: path.chmod(0o777)),
    "cached": ("__pycache__/planted.pyc", lambda path: path.chmod(0o666)),
    "cache": ("__pycache__", lambda path: path.chmod(0o777)),
    "static": ("vfioctl-plugin.toml", lambda path: path.chmod(0o666)),
    "site": ("..", lambda path: path.chmod(0o777)),
    "site list": ("..", lambda path: grant(path, NOBODY)),
}


@pytest.fixture
def spare(installation: Installation, place: Path) -> SparePlugin:
    """The plugin in a directory that a .pth file adds, as an editable installation has it; root's alone, used once."""
    site = place / "checkout"
    site.mkdir()
    installation.add_path(site)
    plugin = SparePlugin(site, place / "proof")
    (plugin.package / "__pycache__").mkdir()
    (plugin.package / "__pycache__/planted.pyc").touch()
    return plugin


@pytest.fixture
def used(installation: Installation, spare: SparePlugin) -> SparePlugin:
    """The same after `hook install`, which every check has accepted."""
    assert installation.install().returncode == 0
    assert '"sparecmd"' in installation.manifest().read_text()
    spare.was_imported()
    return spare


@pytest.fixture
def stage(installation: Installation, spare: SparePlugin, place: Path) -> Iterator[Stage]:
    """A machine whose hook runs in the installation, and has imported the plugin before."""
    (place / "machine").mkdir()
    with FakeHost(BY_NAME["generic"].machine(), place / "machine") as host:
        host.argv = (str(installation.python), *host.argv[1:])
        made = Stage(BY_NAME["generic"], host)
        made.libvirt.composition = replace(made.libvirt.composition, self_argv=host.argv)
        made.libvirt.install()
        assert made.command("plugins", "refresh").returncode == 0
        assert spare.was_imported()
        yield made


def test_a_plugin_of_roots_alone_is_used(stage: Stage, spare: SparePlugin):
    assert stage.prepare().status == 0
    assert spare.was_imported()


@pytest.mark.parametrize("way", WAYS)
def test_a_plugin_that_was_opened_after_it_was_installed_is_not_imported_by_the_hook(
    stage: Stage, spare: SparePlugin, way: str
):
    """chmod changes no time of modification, so the manifest does not notice."""
    part, open_it = WAYS[way]
    open_it(spare.package / part)
    call = stage.prepare()
    assert (call.status, spare.was_imported()) == (0, False)
    assert "The plugin spare cannot be used" in call.stderr


def test_what_another_user_has_written_into_a_plugin_does_not_run(stage: Stage, spare: SparePlugin, as_nobody, place):
    module, stolen = spare.package / "plugin.py", place / "stolen"
    module.chmod(0o666)
    line = f"open({str(stolen)!r}, 'w').close()\n"
    as_nobody(lambda: module.open("a").write(line))
    assert stage.prepare().status == 0
    for arguments in (("plan", GUEST), ("sparecmd",), ("plugins", "refresh"), ("plugins", "list"), ("recover",)):
        stage.command(*arguments)
    assert not stolen.exists()


def test_a_guest_that_needs_such_a_plugin_is_not_started(stage: Stage, spare: SparePlugin):
    text = (spare.package / "vfioctl-plugin.toml").read_text()
    (spare.package / "vfioctl-plugin.toml").write_text(f'{text}[config.depth]\ntype = "int"\ndefault = 1\n')
    assert stage.command("plugins", "refresh").returncode == 0
    stage.set_guest_file("[spare]\ndepth = 2\n")
    spare.was_imported()
    (spare.package / "plugin.py").chmod(0o666)
    call = stage.prepare()
    assert (call.status, spare.was_imported()) == (3, False)
    assert f"{spare.package}/plugin.py can be written by others" in call.stderr


# ---------------------------------------------------------------- commands


def test_a_command_of_roots_alone_runs(installation: Installation, used: SparePlugin):
    ended = installation.on_host("sparecmd")
    assert (ended.returncode, ended.stdout) == (0, "it ran\n")
    assert used.was_imported()


@pytest.mark.parametrize("way", WAYS)
def test_a_command_that_was_opened_after_it_was_installed_is_refused_in_words(
    installation: Installation, used: SparePlugin, way: str
):
    part, open_it = WAYS[way]
    open_it(used.package / part)
    for arguments in (("sparecmd",), ("sparecmd", "--help")):
        ended = installation.on_host(*arguments)
        assert (ended.returncode, used.was_imported()) == (3, False)
        assert "The command 'sparecmd' of spare is not run" in ended.stderr
        assert "Nothing of it was imported." in ended.stderr


@pytest.mark.parametrize("way", WAYS)
def test_a_plugin_that_others_can_change_brings_no_command(installation: Installation, spare: SparePlugin, way: str):
    """`hook install` refuses it; `plugins refresh` lists it as broken and leaves its command out."""
    part, open_it = WAYS[way]
    open_it(spare.package / part)
    ended = installation.on_host("plugins", "refresh", "--format", "json")
    assert ended.returncode == 0
    assert '"status": "broken: ' in installation.manifest().read_text()
    assert "sparecmd" not in installation.manifest().read_text()
    assert "sparecmd" not in installation.on_host("--help").stdout
    assert installation.on_host("sparecmd").returncode == 2
    assert not spare.was_imported()


def test_a_command_without_a_plugin_that_others_can_change_is_left_out_and_said(
    installation: Installation, spare: SparePlugin
):
    points = spare.site / "vfioctl_spare-1.0.dist-info/entry_points.txt"
    points.write_text("[vfioctl.commands]\nsparecmd = vfioctl_spare.cli:command\n")
    (spare.package / "cli.py").chmod(0o666)
    ended = installation.on_host("plugins", "refresh")
    assert f"The command sparecmd is left out: {spare.package}/cli.py can be written by others" in ended.stderr
    assert "sparecmd" not in installation.manifest().read_text()


@pytest.mark.parametrize("kind", ["directory", "zip"])
def test_a_command_from_a_place_of_another_user_is_not_run(installation: Installation, place: Path, kind: str):
    """A .pth file leads there; with zipimport there is no directory that could be judged."""
    home = place / "home"
    home.mkdir()
    plugin = SparePlugin(home, place / "proof")
    added = home
    if kind == "zip":
        added = place / "spare.zip"
        with zipfile.ZipFile(added, "w") as archive:
            for path in home.rglob("*"):
                archive.write(path, path.relative_to(home))
        os.chown(added, NOBODY, NOBODY)
    os.chown(home, NOBODY, NOBODY)
    installation.add_path(added)
    assert installation.on_host("plugins", "refresh").returncode == 0
    assert "sparecmd" not in installation.manifest().read_text()
    with_command(installation.manifest(), "sparecmd", "vfioctl_spare.cli:command")
    ended = installation.on_host("sparecmd")
    assert (ended.returncode, plugin.was_imported()) == (3, False)
    assert f"{added} belongs to uid {NOBODY}" in ended.stderr


def _row(installation: Installation, target: str) -> None:
    """A command in the manifest that was written when everything was root's alone."""
    assert installation.install().returncode == 0
    with_command(installation.manifest(), "sparecmd", target)


def test_every_part_of_a_namespace_package_is_judged(installation: Installation, place: Path):
    """Two directories of sys.path may hold parts of one package."""
    for name in ("one", "other"):
        (place / name / "spares").mkdir(parents=True)
        installation.add_path(place / name)
    (place / "one/spares/cli.py").write_text(COMMAND)
    _row(installation, "spares.cli:command")
    assert installation.on_host("sparecmd").stdout == "it ran\n"
    os.chown(place / "other/spares", NOBODY, NOBODY)
    assert installation.on_host("sparecmd").returncode == 3


@pytest.mark.parametrize("part", ["spare_module.py", "__pycache__", "__pycache__/*.pyc"])
def test_of_a_single_module_its_file_and_what_is_cached_of_it_are_judged(
    installation: Installation, place: Path, part: str
):
    (place / "modules").mkdir()
    (place / "modules/spare_module.py").write_text(COMMAND)
    installation.add_path(place / "modules")
    _row(installation, "spare_module:command")
    assert installation.on_host("sparecmd").stdout == "it ran\n"
    (opened,) = (place / "modules").glob(part)
    opened.chmod(0o777)
    assert installation.on_host("sparecmd").returncode == 3


def test_what_a_finder_of_an_editable_installation_finds_is_judged(installation: Installation, place: Path):
    """setuptools leaves a .pth file that imports a finder; no directory of sys.path says where the package is."""
    checkout = place / "checkout"
    checkout.mkdir()
    plugin = SparePlugin(checkout, place / "proof")
    (installation.site / "spare_finder.py").write_text(FINDER.format(package=str(plugin.package)))
    (installation.site / "spare_finder.pth").write_text("import spare_finder\n")
    _row(installation, "vfioctl_spare.cli:command")
    assert installation.on_host("sparecmd").stdout == "it ran\n"
    plugin.was_imported()
    os.chown(checkout, NOBODY, NOBODY)
    assert (installation.on_host("sparecmd").returncode, plugin.was_imported()) == (3, False)


@pytest.mark.parametrize("mode", [0o644, 0o646, 0o664])
def test_a_zip_of_roots_is_imported_from_as_long_as_it_is_roots_alone(
    installation: Installation, place: Path, mode: int
):
    with zipfile.ZipFile(place / "spare.zip", "w") as archive:
        archive.writestr("spare_module.py", COMMAND)
    installation.add_path(place / "spare.zip")
    _row(installation, "spare_module:command")
    (place / "spare.zip").chmod(mode)
    assert installation.on_host("sparecmd").returncode == (0 if mode == 0o644 else 3)


def test_completion_imports_no_command_that_others_can_change(installation: Installation, used: SparePlugin):
    """A shell completes as root before root has decided to run anything."""
    words = f"vfioctl --root {installation.host} sparecmd --"
    asked = {"_VFIOCTL_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": "4"}
    assert installation.run(**asked).returncode == 0
    assert used.was_imported()
    (used.package / "cli.py").chmod(0o666)
    ended = installation.run(**asked)
    assert (ended.returncode, ended.stderr, used.was_imported()) == (0, "", False)
