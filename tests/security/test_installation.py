"""An installation that somebody else could change is refused, and what they plant is not imported."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from access_lists import grant
from installations import Installation, SparePlugin, with_command

NOBODY = 65534
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="giving files away needs root")


def refuses(installation: Installation, culprit: Path, why: str) -> bool:
    """Whether `hook install` is refused, names `culprit` and installs nothing."""
    ended = installation.install()
    said = f"{culprit} {why}" in ended.stderr and "[setup.writable]" in ended.stderr
    return said and ended.returncode == 3 and not installation.shim().exists()


def test_an_installation_of_roots_alone_is_accepted(installation: Installation):
    ended = installation.install()
    assert (ended.returncode, ended.stderr) == (0, "")
    assert installation.shim().exists()


@pytest.mark.parametrize("name", ["planted.py", "planted.so", "planted.pth", "__pycache__/planted.pyc"])
def test_a_file_among_the_libraries_that_others_can_write_is_refused(installation: Installation, name: str):
    planted = installation.site / name
    planted.parent.mkdir(exist_ok=True)
    planted.touch()
    planted.chmod(0o646)
    assert refuses(installation, planted, "can be written by others")


@needs_root
@pytest.mark.parametrize("part", ["opt/bin/python", "opt/bin", "opt/lib", "opt"])
def test_every_part_of_the_environment_must_be_roots(installation: Installation, part: str):
    culprit = installation.home.parent / part
    os.chown(culprit, NOBODY, NOBODY, follow_symlinks=False)
    assert refuses(installation, culprit, f"belongs to uid {NOBODY}, not to root")


def test_an_interpreter_that_is_reached_through_somebody_elses_directory_is_refused(installation: Installation):
    home = installation.home.parent / "home"
    home.mkdir()
    home.chmod(0o777)
    python = installation.home / "bin/python"
    (home / "python").symlink_to(os.path.realpath(python))
    python.unlink()
    python.symlink_to(home / "python")
    assert refuses(installation, home, "can be written by others")


def test_a_directory_that_a_pth_file_adds_is_judged(installation: Installation):
    """What `pip install --editable` of a checkout in somebody's home leaves."""
    checkout = installation.home.parent / "checkout"
    checkout.mkdir()
    checkout.chmod(0o777)
    installation.add_path(checkout)
    assert refuses(installation, checkout, "can be written by others")


def test_a_plugin_in_the_environment_of_the_caller_does_not_get_into_the_manifest(installation: Installation):
    """`sudo` keeps no PYTHONPATH unless it is told to; then what it names must be root's as well."""
    planted = installation.home.parent / "home"
    info = planted / "evil-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: evil\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[vfioctl]\nevil = evil.plugin\n[vfioctl.commands]\nevil = evil:run\n")
    planted.chmod(0o777)
    ended = installation.install(PYTHONPATH=str(planted))
    assert (ended.returncode, f"{planted} can be written by others" in ended.stderr) == (3, True)
    assert not installation.shim().exists()


@pytest.mark.parametrize("command", [("plugins", "refresh"), ("hook", "install"), ("config", "show", "win11")])
@pytest.mark.parametrize("where", ["PYTHONPATH", "working directory"])
def test_a_plugin_that_only_the_caller_sees_is_not_written_down(
    installation: Installation, place: Path, command: tuple[str, ...], where: str
):
    """Root's own directories, so nothing is refused: but the hook would find neither plugin nor command there."""
    site = place / "site" if where == "PYTHONPATH" else installation.home
    site.mkdir(exist_ok=True)
    spare = SparePlugin(site, place / "proof")
    (installation.host / "etc/vfioctl/guests").mkdir(parents=True)
    (installation.host / "etc/vfioctl/guests/win11.toml").touch()
    environment = {"PYTHONPATH": str(site)} if where == "PYTHONPATH" else {}
    ended = installation.on_host(*command, **environment)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "spare" not in installation.manifest().read_text()
    assert '"generic"' in installation.manifest().read_text()
    assert not spare.was_imported()


def test_a_file_in_a_directory_that_a_pth_file_adds_is_judged(installation: Installation):
    checkout = installation.home.parent / "checkout"
    (checkout / "library").mkdir(parents=True)
    installation.add_path(checkout)
    assert installation.install().returncode == 0
    library = checkout / "library/one.py"
    library.touch()
    library.chmod(0o646)
    installation.shim().unlink()
    assert refuses(installation, library, "can be written by others")


@pytest.mark.parametrize(
    "part", ["etc/libvirt/hooks/qemu.d/50-vfioctl", "etc/libvirt/hooks", "etc/systemd/system/vfioctl-recover.service",
             "etc/systemd/system/vfioctl-recover-rest.service", "etc/systemd/system", "etc/vfioctl/guests/win11.toml",
             "etc/vfioctl/guests", "var/lib/vfioctl", "usr/bin"],
)  # fmt: skip
@pytest.mark.parametrize("opened", ["others", "list"])
def test_hook_verify_names_whatever_root_obeys_that_others_can_write(
    installation: Installation, part: str, opened: str
):
    assert installation.install().returncode == 0
    (installation.host / "etc/vfioctl/guests/win11.toml").touch()
    path = installation.host / part
    path.chmod(path.stat().st_mode | 0o002) if opened == "others" else grant(path, NOBODY)
    said = installation.on_host("hook", "verify").stderr
    assert f"{path} can be written by others" in said
    assert f"chmod go-w {path}" in said


@needs_root
@pytest.mark.parametrize("mode", [0o664, 0o646])
def test_an_installation_that_is_roots_and_open_is_refused_with_what_closes_it(installation: Installation, mode: int):
    """What a root with the umask 002 installs, as after `su` without a dash."""
    library = installation.site / "library.py"
    library.touch()
    library.chmod(mode)
    assert f"chmod -R go-w {installation.site}" in installation.install().stderr


@pytest.mark.parametrize("name", ["json.py", "vfioctl.py", "sitecustomize.py", "vfioctl_nvidia/__init__.py"])
def test_a_file_planted_in_the_working_directory_is_not_imported_by_the_hook(stage, place, name: str):
    planted, proof = place / "cwd" / name, place / "proof"
    planted.parent.mkdir(parents=True)
    planted.write_text(f"open({str(proof)!r}, 'w').close()\n")
    call = subprocess.run(
        [stage.host.paths.shim, "win11", "prepare", "begin", "-"], input=stage.xml, cwd=place / "cwd", check=False,
        capture_output=True, env={"PATH": os.defpath, "PYTHONPATH": str(place / "cwd"), "HOME": str(place / "cwd")},
    )  # fmt: skip
    assert (call.returncode, call.stderr) == (0, b"")
    assert not proof.exists()


def test_a_manifest_in_a_directory_of_somebody_else_gives_no_commands(installation: Installation):
    """A command of a plugin is a name in the manifest; who can write that would choose what root imports."""
    assert installation.install().returncode == 0
    state = installation.host / "var/lib/vfioctl"
    with_command(state / "manifest.json", "evil", "antigravity:geohash")
    assert "evil" in installation.run("--root", str(installation.host), "--help").stdout
    state.chmod(0o777)
    assert "evil" not in installation.run("--root", str(installation.host), "--help").stdout
