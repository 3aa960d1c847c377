"""Installing and removing the hook on a root that holds other people's hooks already."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from vfioctl.compose import Composition
from vfioctl.errors import NotRoot, Refused
from vfioctl.setup import data, trust
from vfioctl.setup.install import UNIT, install, uninstall
from vfioctl.setup.shim import rendered


def tree(root: Path) -> dict[str, tuple[int, str, int]]:
    """Every path below `root` with mode, content and time."""
    found = {}
    for path in sorted(root.rglob("*")):
        status = path.lstat()
        content = os.readlink(path) if path.is_symlink() else path.read_text() if path.is_file() else ""
        found[str(path.relative_to(root))] = (status.st_mode, content, status.st_mtime_ns if path.is_file() else 0)
    return found


def test_the_hook_is_installed_executable_and_as_rendered(composition: Composition) -> None:
    report = install(composition)
    shim = Path(composition.paths.shim)
    assert shim.read_text() == rendered(composition)
    assert shim.stat().st_mode & 0o7777 == 0o755
    assert str(shim) in report.changed


def test_the_directories_are_made_for_all_to_read_whatever_the_umask(composition: Composition) -> None:
    before = os.umask(0o077)
    try:
        install(composition)
    finally:
        os.umask(before)
    for place in (composition.paths.guest_configs, composition.paths.state, os.path.dirname(composition.paths.shim)):
        assert Path(place).stat().st_mode & 0o7777 == 0o755


def test_what_was_closed_to_others_is_opened_for_them_to_read(composition: Composition) -> None:
    os.makedirs(composition.paths.state, mode=0o700)
    assert composition.paths.state in install(composition).changed
    assert Path(composition.paths.state).stat().st_mode & 0o7777 == 0o755


def test_a_second_install_changes_nothing_but_the_manifest(composition: Composition, root: Path) -> None:
    install(composition)
    before = tree(root)
    assert install(composition).changed == ()
    manifest = os.path.relpath(composition.paths.manifest, root)
    assert {**tree(root), manifest: None} == {**before, manifest: None}


def prepared(composition: Composition, state: str) -> None:
    """Nothing is there, all of it, or a part that is as somebody has left it."""
    if state == "bare":
        return
    install(composition)
    if state == "changed":
        Path(composition.paths.rest_unit).write_text("[Unit]\n")
        Path(composition.paths.shim).write_text("#!/bin/sh\n")
        Path(composition.paths.manifest).chmod(0o600)
        Path(composition.paths.recovery_unit).unlink()


@pytest.mark.parametrize("state", ["bare", "changed", "whole"])
def test_a_dry_run_reports_what_install_then_changes_and_writes_nothing(
    composition: Composition, root: Path, state: str
) -> None:
    prepared(composition, state)
    before = tree(root)
    told = install(composition, dry_run=True)
    assert tree(root) == before
    assert told == install(composition)
    assert bool(told.changed) == (state != "whole")
    assert all(os.path.lexists(path) for path in told.changed)


@pytest.mark.parametrize("state", ["bare", "changed", "whole"])
def test_a_dry_run_reports_what_uninstall_then_removes(composition: Composition, root: Path, state: str) -> None:
    prepared(composition, state)
    before = tree(root)
    told = uninstall(composition, dry_run=True)
    assert tree(root) == before
    assert told == uninstall(composition)
    assert bool(told.changed) == (state != "bare")
    assert not any(os.path.lexists(path) for path in told.changed)


@pytest.mark.parametrize("what", [install, uninstall])
def test_a_dry_run_is_refused_by_what_refuses_the_other(composition: Composition, root: Path, what) -> None:
    install(composition)
    journal = root / "run/vfioctl/journal/11111111-2222-3333-4444-555555555555.jsonl"
    journal.parent.mkdir(parents=True, mode=0o700)
    journal.touch()
    Path(composition.self_argv[0]).chmod(0o777)
    with pytest.raises(Refused) as foretold:
        what(composition, dry_run=True)
    with pytest.raises(Refused) as refused:
        what(composition)
    assert str(foretold.value) == str(refused.value)


def test_a_dry_run_tells_systemd_nothing(composition: Composition, root: Path, put_program, tmp_path: Path) -> None:
    (root / "run/systemd/system").mkdir(parents=True)
    put_program("systemctl", f'echo "$*" >>"{tmp_path}/told"; [ "$1" = daemon-reload ]')
    install(composition, dry_run=True)
    assert "daemon-reload" not in (tmp_path / "told").read_text()


def test_what_is_in_qemu_d_already_stays_as_it_is(composition: Composition, root: Path) -> None:
    others = root / "etc/libvirt/hooks"
    (others / "qemu.d/win11/prepare/begin").mkdir(parents=True)
    (others / "qemu.d/win11/prepare/begin/bind.sh").write_text("#!/bin/sh\n")
    (others / "qemu.d/10-mine").write_text("#!/bin/sh\n")
    (others / "qemu").write_text("#!/bin/sh\n")
    before = tree(others)
    install(composition)
    after = tree(others)
    assert after.pop("qemu.d/50-vfioctl")
    assert after == before
    uninstall(composition)
    assert tree(others) == before


def test_the_other_installation_that_the_hook_has_called_is_named(composition: Composition) -> None:
    rest = composition.self_argv[1:]
    other, gone = (replace(composition, self_argv=(python, *rest)) for python in ("/bin/sh", "/gone"))
    assert install(other).notes == ()
    assert "until now (/bin/sh)" in install(composition).notes[0]
    assert install(composition).notes == ()
    install(gone)
    assert install(composition).notes == ()


def test_a_changed_hook_is_put_right_and_keeps_the_time_since_when_it_was_there(composition: Composition) -> None:
    install(composition)
    shim = Path(composition.paths.shim)
    shim.write_text("#!/bin/sh\n")
    os.utime(shim, (1000, 1000))
    assert install(composition).changed == (str(shim),)
    assert shim.read_text() == rendered(composition)
    assert shim.stat().st_mtime == 1000


def test_a_hook_that_could_not_fire_gets_a_new_time(composition: Composition) -> None:
    install(composition)
    shim = Path(composition.paths.shim)
    os.utime(shim, (1000, 1000))
    shim.chmod(0o644)
    install(composition)
    assert shim.stat().st_mtime > 1000


def test_the_unit_recovers_with_this_installation_and_is_enabled(composition: Composition, root: Path) -> None:
    install(composition)
    unit = root / "etc/systemd/system" / UNIT
    assert f"ExecStart='{composition.self_argv[0]}' -I" in unit.read_text()
    assert "@" not in unit.read_text()
    assert (root / "etc/systemd/system/multi-user.target.wants" / UNIT).resolve() == unit.resolve()


def settings(path: str) -> dict[str, str]:
    """What a unit file sets; it sets nothing twice."""
    return dict(line.split("=", 1) for line in Path(path).read_text().splitlines() if "=" in line and line[0] != "#")


def test_libvirt_waits_for_the_recovery_at_boot_but_not_for_long(composition: Composition) -> None:
    install(composition)
    unit = settings(composition.paths.recovery_unit)
    assert {"libvirtd.service", "virtqemud.service"} <= set(unit["Before"].split())
    assert float(unit["TimeoutStartSec"]) <= 180


def test_what_it_could_not_do_is_done_once_docker_runs_and_nothing_waits_for_that(composition: Composition) -> None:
    install(composition)
    first, rest = settings(composition.paths.recovery_unit), settings(composition.paths.rest_unit)
    assert first["OnFailure"] == os.path.basename(composition.paths.rest_unit)
    assert rest["ExecStart"] == first["ExecStart"]
    assert "docker.service" in rest["After"].split()
    assert rest["TimeoutStartSec"] == "infinity"
    assert not {"Before", "WantedBy", "RequiredBy"} & set(rest)
    assert "docker.service" not in first["After"]


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")
def test_systemd_has_nothing_to_say_about_the_units(composition: Composition) -> None:
    install(composition)
    units = (composition.paths.recovery_unit, composition.paths.rest_unit)
    argv = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *units]
    told = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert [line for line in told.stderr.splitlines() if "vfioctl-recover" in line] == []


def test_an_interpreter_below_a_strange_path_is_written_for_systemd(composition: Composition, root: Path) -> None:
    install(replace(composition, self_argv=(*composition.self_argv, "50%", "$HOME")))
    assert "-m vfioctl.paths" in (root / "etc/systemd/system" / UNIT).read_text()
    assert (root / "etc/systemd/system" / UNIT).read_text().count("50%%") == 1
    assert "'$$HOME' recover" in (root / "etc/systemd/system" / UNIT).read_text()


def test_systemd_is_told_of_the_unit_once(composition: Composition, root: Path, put_program, tmp_path: Path) -> None:
    (root / "run/systemd/system").mkdir(parents=True)
    put_program("systemctl", f'echo "$*" >>"{tmp_path}/told"; [ "$1" = daemon-reload ]')
    install(composition)
    install(composition)
    assert (tmp_path / "told").read_text().splitlines().count("daemon-reload") == 1


def test_a_systemd_that_does_not_answer_costs_a_note(composition: Composition, root: Path, put_program) -> None:
    (root / "run/systemd/system").mkdir(parents=True)
    put_program("systemctl", "echo no bus >&2; exit 1")
    report = install(composition)
    assert "no bus" in report.notes[0]
    assert os.path.exists(composition.paths.shim)


def test_an_interpreter_that_others_can_write_is_refused_with_its_path(composition: Composition, root: Path) -> None:
    before = tree(root)
    python = Path(composition.self_argv[0])
    python.chmod(0o777)
    with pytest.raises(Refused, match="the python can be written by others") as refused:
        install(composition)
    assert refused.value.code == "setup.writable"
    assert any("/opt/vfioctl" in hint for hint in refused.value.hints)
    assert tree(root) == before


def test_a_directory_above_the_interpreter_that_others_can_write_is_refused(composition: Composition, tmp_path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    python = shared / "python"
    Path(composition.self_argv[0]).rename(python)
    with pytest.raises(Refused, match="shared can be written by others"):
        install(replace(composition, self_argv=(str(python), *composition.self_argv[1:])))


@pytest.mark.parametrize("place", ["etc/libvirt/hooks/qemu.d", "etc/vfioctl/guests", "var/lib/vfioctl", "run/vfioctl",
                                   "run/vfioctl/guests", "usr/bin", "usr/local/sbin"])  # fmt: skip
def test_a_place_that_root_obeys_and_others_can_write_is_refused(
    composition: Composition, root: Path, place: str
) -> None:
    (root / place).mkdir(parents=True, exist_ok=True)
    (root / place).chmod(0o777)
    with pytest.raises(Refused, match=f"{place} can be written by others") as refused:
        install(composition)
    assert refused.value.code == "setup.writable"
    assert not Path(composition.paths.shim).exists()


def test_the_modules_of_this_interpreter_are_judged_too(composition: Composition) -> None:
    places = trust.code_places(composition)
    assert os.path.dirname(os.__file__) in places
    assert data.PACKAGE in places


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user needs root")
def test_another_user_cannot_install(composition: Composition, open_to_all: Path) -> None:
    before = tree(open_to_all)
    child = os.fork()
    if child == 0:
        os.setuid(65534)
        try:
            install(composition)
        except NotRoot as error:
            os._exit(77 if error.code == "setup.not_root" else 1)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 77
    assert tree(open_to_all) == before


@pytest.mark.parametrize("place", ["run/vfioctl/journal", "var/lib/vfioctl/journal"])
def test_uninstall_is_refused_while_a_journal_is_open(composition: Composition, root: Path, place: str) -> None:
    install(composition)
    journal = root / place / "11111111-2222-3333-4444-555555555555.jsonl"
    journal.parent.mkdir(parents=True, exist_ok=True)
    journal.touch()
    before = tree(root)
    with pytest.raises(Refused, match="11111111-2222-3333-4444-555555555555") as refused:
        uninstall(composition)
    assert refused.value.code == "setup.journal_open"
    assert tree(root) == before
    journal.unlink()
    uninstall(composition)
    assert not os.path.exists(composition.paths.shim)


def test_uninstall_removes_hook_and_units_and_keeps_configuration(composition: Composition, root: Path) -> None:
    install(composition)
    guest = Path(composition.paths.guest_config("win11"))
    guest.touch()
    report = uninstall(composition)
    assert not list(root.rglob("50-vfioctl"))
    assert not list(root.rglob("vfioctl-recover*"))
    assert guest.exists()
    assert composition.paths.etc in report.kept
    assert uninstall(composition).changed == ()


def test_every_template_is_found_from_a_wheel_alone(tmp_path: Path) -> None:
    """Package data: the templates of contrib/ travel in the wheel, where there is no contrib/."""
    package = tmp_path / "site/vfioctl"
    (package / "setup").mkdir(parents=True)
    for name in ("__init__.py", "checking.py", "errors.py", "setup/__init__.py", "setup/data.py"):
        (package / name).write_text(Path(data.PACKAGE, name).read_text())
    (package / "data/libvirt").mkdir(parents=True)
    (package / "data/libvirt/50-vfioctl.sh.in").write_text("of the wheel")
    program = "from vfioctl.setup.data import template; print(template('libvirt', '50-vfioctl.sh.in'))"
    shown = subprocess.run(
        [sys.executable, "-S", "-c", program], env={"PYTHONPATH": str(tmp_path / "site")}, cwd=tmp_path,
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert shown.stdout == "of the wheel\n"
