"""The Debian package, installed in a bare tree of Debian 12 and 13: what it brings, and that nothing of it is left."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from debian_package import Tree, bare, build, newer
from wheel_set import ROOT, wheels

pytestmark = [pytest.mark.matrix, pytest.mark.timeout(900)]
HOOK = "/etc/libvirt/hooks/qemu.d/50-vfioctl"
UNIT = "/etc/systemd/system/vfioctl-recover.service"
GUEST_FILE = "/etc/vfioctl/guests/win11.toml"
JOURNAL = "/var/lib/vfioctl/journal/11111111-2222-3333-4444-555555555555.jsonl"
CHANGES = "/var/lib/vfioctl/changes-setup.json"
OTHER = "#!/bin/sh\npython=/opt/other/bin/python3\n"  # the hook of another installation
PLUGINS = tuple(path.name.removeprefix("vfioctl-") for path in (ROOT / "plugins").glob("vfioctl-*"))


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("package")
    return build(wheels(place / "wheels"), place)


@pytest.fixture(scope="module")
def later(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package of a later version."""
    return newer(package, "0.1.1", tmp_path_factory.mktemp("newer") / "later")


@pytest.fixture(scope="module", params=["12", "13"])
def fresh(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tree]:
    """A Debian without the package; nobody changes it."""
    made = bare(request.param, tmp_path_factory.mktemp(f"debian-{request.param}"))
    yield made
    made.remove()


@pytest.fixture(scope="module")
def installed(fresh: Tree, package: Path) -> Iterator[Tree]:
    """The same with the package; nobody changes it."""
    made = fresh.copy("installed")
    install(made, package)
    yield made
    made.remove()


@pytest.fixture
def mine(installed: Tree) -> Iterator[Tree]:
    """The tree with the package, to be changed."""
    made = installed.copy("mine")
    yield made
    made.remove()


@pytest.fixture
def without(fresh: Tree) -> Iterator[Tree]:
    """The tree without it, to be changed."""
    made = fresh.copy("without")
    yield made
    made.remove()


def install(tree: Tree, package: Path, *, status: int = 0) -> str:
    shutil.copy(package, tree.shared)
    return tree.run("dpkg", "-i", f"{tree.shared}/{package.name}", status=status)


def test_hook_unit_pages_and_completions_are_in_place(installed: Tree) -> None:
    files = installed.files()
    assert files[HOOK].startswith("100755")
    assert "python=/opt/vfioctl/bin/python3" in installed.run("cat", HOOK).splitlines()
    assert "ExecStart=/opt/vfioctl/bin/python3 -I -m vfioctl.entry recover" in installed.run("cat", UNIT)
    pages = {f"/usr/share/man/man1/{page.name}.gz" for page in (ROOT / "docs/man").iterdir()}
    others = {"/etc/systemd/system/multi-user.target.wants/vfioctl-recover.service",
              "/usr/share/bash-completion/completions/vfioctl", "/usr/share/zsh/vendor-completions/_vfioctl",
              "/usr/share/fish/vendor_completions.d/vfioctl.fish"}  # fmt: skip
    assert pages | others <= set(files)
    assert installed.run("dpkg", "--verify", "vfioctl") == ""


def test_it_runs_with_its_own_libraries_and_with_debians_libvirt(installed: Tree) -> None:
    assert installed.run("vfioctl", "--version").startswith("vfioctl ")
    shown = installed.run("vfioctl", "plugins", "list", "--format", "json")
    assert [name for name in PLUGINS if f'"name": "{name}"' not in shown] == []
    where = "import libvirt, pluggy; print(libvirt.getVersion() > 0, pluggy.__file__)"
    said = installed.run("/opt/vfioctl/bin/python3", "-I", "-c", where)
    assert said.startswith("True /opt/vfioctl/lib/python3")


def test_root_may_run_what_the_package_brings(installed: Tree) -> None:
    shown = installed.run("vfioctl", "hook", "verify")
    assert "nothing would stop it from firing" in shown


def test_after_a_purge_the_tree_is_as_it_was(fresh: Tree, mine: Tree) -> None:
    mine.run("sh", "-c", "mkdir -p /var/log/vfioctl && vfioctl config set inhibit_sleep true && vfioctl status")
    mine.run("dpkg", "--purge", "vfioctl")
    before = fresh.files()
    del before["/opt"]  # which dpkg removes when it is empty: base-files makes it, but it is no package's
    assert mine.files() == before


def test_a_guest_that_was_managed_is_named_when_it_is_removed(mine: Tree) -> None:
    mine.write(GUEST_FILE, "")
    assert "win11 was managed and starts without vfioctl now" in mine.run("dpkg", "--remove", "vfioctl")
    files = mine.files()
    assert (GUEST_FILE in files, HOOK in files) == (True, False)


def test_what_somebody_has_removed_by_hand_keeps_it_neither_from_being_installed_anew_nor_from_going(
    fresh: Tree, installed: Tree, mine: Tree, package: Path
) -> None:
    gone = ("rm", "-rf", "/opt/vfioctl", "/etc/libvirt/hooks", "/var/lib/vfioctl", "/run/vfioctl")
    mine.run(*gone)
    install(mine, package)
    assert mine.files() == installed.files()
    mine.run(*gone)
    mine.run("dpkg", "--purge", "vfioctl")
    assert mine.files().keys() <= fresh.files().keys()


def test_without_its_directory_a_device_that_is_given_still_keeps_it(mine: Tree) -> None:
    mine.write(JOURNAL, "\n")
    mine.run("rm", "-r", "/opt/vfioctl")
    said = mine.run("dpkg", "--purge", "vfioctl", status=1)
    assert "its hook is still needed" in said
    assert "/opt/vfioctl is not whole: install the package once more" in said
    assert HOOK in mine.files()


def test_it_is_not_removed_while_a_device_is_given(mine: Tree) -> None:
    mine.write(JOURNAL, "\n")
    before = mine.files()
    said = mine.run("dpkg", "--purge", "vfioctl", status=1)
    assert "[setup.journal_open]" in said
    assert "its hook is still needed" in said
    assert mine.files() == before
    mine.run("rm", JOURNAL)
    mine.run("dpkg", "--purge", "vfioctl")
    assert "/var/lib/vfioctl" not in mine.files()


def test_what_belongs_to_a_given_device_outlives_even_a_purge(mine: Tree) -> None:
    mine.run("dpkg", "--remove", "vfioctl")
    mine.write(JOURNAL, "\n")
    said = mine.run("dpkg", "--purge", "vfioctl")
    assert "a device is still given, so /run/vfioctl and /var/lib/vfioctl stay" in said
    assert JOURNAL in mine.files()


def test_the_only_copy_of_what_was_not_put_back_outlives_a_purge(mine: Tree) -> None:
    mine.write(CHANGES, "{}\n")
    mine.run("mkdir", "/var/lib/vfioctl/domains")
    assert "what `vfioctl setup` has changed of this host stays" in mine.run("dpkg", "--remove", "vfioctl")
    assert f"what was not put back stays: {CHANGES}" in mine.run("dpkg", "--purge", "vfioctl")
    assert [path for path in mine.files() if path.startswith("/var/lib/vfioctl/")] == [CHANGES]


def test_when_everything_was_put_back_a_purge_leaves_no_directory_and_says_nothing_of_it(mine: Tree) -> None:
    mine.run("mkdir", "-p", "/var/lib/vfioctl/domains")
    assert "was not put back" not in mine.run("dpkg", "--purge", "vfioctl")
    assert "/var/lib/vfioctl" not in mine.files()


def test_what_the_old_version_gave_the_new_one_takes_back(mine: Tree, later: Path) -> None:
    story, newer_one = (shutil.copy(file, mine.shared) for file in (ROOT / "tests/support/upgrade_story.py", later))
    said = mine.run("/opt/vfioctl/bin/python3", "-I", str(story), str(newer_one))
    assert said.splitlines()[-1] == "vfio-pci | vfioctl 0.1.1 | nvidia"


def test_it_is_upgraded_while_a_device_is_given(mine: Tree, later: Path) -> None:
    mine.write(JOURNAL, "\n")
    install(mine, later)
    assert mine.run("vfioctl", "--version") == "vfioctl 0.1.1\n"
    assert JOURNAL in mine.files()


def test_where_others_could_change_what_root_runs_it_says_so_and_is_configured_later(
    without: Tree, package: Path
) -> None:
    without.run("chmod", "g+w", "/usr/local/sbin")
    assert "[setup.writable]" in install(without, package, status=1)
    assert HOOK not in without.files()
    without.run("chmod", "g-w", "/usr/local/sbin")
    without.run("dpkg", "--configure", "vfioctl")
    assert HOOK in without.files()


def test_another_installation_is_named_and_the_hook_taken_over(without: Tree, package: Path) -> None:
    without.write(HOOK, OTHER)
    without.run("sh", "-c", "mkdir -p /opt/other/bin && ln -s /usr/bin/python3 /opt/other/bin")
    without.run("ln", "-s", "/opt/other/bin/vfioctl", "/usr/local/bin/vfioctl")
    said = install(without, package)
    assert "/usr/local/bin/vfioctl belongs to another installation (/opt/other/bin/vfioctl)" in said
    assert "called another installation until now (/opt/other/bin/python3)" in said


def test_a_hook_of_another_installation_stays_with_its_settings(mine: Tree) -> None:
    mine.write(HOOK, OTHER)
    mine.write(GUEST_FILE, "")
    assert f"{HOOK} belongs to another installation" in mine.run("dpkg", "--purge", "vfioctl")
    files = mine.files()
    assert {HOOK, GUEST_FILE} <= set(files)
    assert "/opt/vfioctl" not in files
    assert mine.run("cat", HOOK) == OTHER


def test_a_virtual_environment_in_its_place_is_not_overwritten(without: Tree, package: Path) -> None:
    without.write("/opt/vfioctl/pyvenv.cfg", "home = /usr/bin\n")
    before = without.files()
    assert "is a virtual environment already" in install(without, package, status=1)
    assert without.files() == before
