"""An access control list lets another user write what looks like root's alone: it is refused wherever root obeys it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from access_lists import READ, SEARCH, WRITE, grant
from hand_offs import GUEST, OUR_RECORDS, Stage

from vfioctl.testing import snapshot
from vfioctl.testing.domains import UUID

NOBODY = 65534
WHY = "can be written by others through an access control list"
SETTINGS = ("etc/vfioctl/guests/win11.toml", "etc/vfioctl/guests", "etc/vfioctl", "etc", ".")
RECORDS = ("run", "run/vfioctl", "run/vfioctl/guests", "run/vfioctl/journal", "run/vfioctl/resources",
           "run/vfioctl/locks", "run/vfioctl/stuck", "var", "var/lib", "var/lib/vfioctl", "var/lib/vfioctl/journal",
           "var/lib/vfioctl/identity")  # fmt: skip
UNDO = ("run/vfioctl/guests/win11", "run/vfioctl/guests/win11/undo.sh")
OBEYING = (("recover",), ("recover", "--abort"), ("disable", GUEST), ("enable", GUEST), ("plugins", "refresh"),
           ("config", "set", "deadlines.prepare", "60"), ("hook", "uninstall"))  # fmt: skip


def writes(path: Path) -> Callable[[], bool]:
    """What another user tries: to write the file, or into the directory."""

    def attempt() -> bool:
        try:
            os.mkdir(path / "planted") if path.is_dir() else os.close(os.open(path, os.O_WRONLY))
        except PermissionError:
            return False
        return True

    return attempt


def open_for(path: Path, as_nobody) -> None:
    """Give nobody the write permission, and see that the kernel heeds it."""
    grant(path, NOBODY)
    assert as_nobody(writes(path)), "the access control list lets nobody write"
    if path.is_dir():
        (path / "planted").rmdir()


@pytest.mark.parametrize("part", SETTINGS)
def test_a_start_obeys_no_setting_that_an_access_control_list_opens(stage: Stage, as_nobody, part: str):
    open_for(Path(stage.root, part), as_nobody)
    before = stage.look()
    call = stage.prepare()
    assert (call.status, WHY in call.stderr) == (3, True)
    assert snapshot.difference(before, stage.look(), allowed=(*OUR_RECORDS, "var/log/vfioctl*")) == ()


@pytest.mark.parametrize("part", RECORDS)
def test_a_start_obeys_no_record_that_an_access_control_list_opens(stage: Stage, as_nobody, part: str):
    path = Path(stage.root, part)
    path.mkdir(parents=True, exist_ok=True)
    open_for(path, as_nobody)
    call = stage.prepare()
    assert (call.status, f"{path} {WHY}" in call.stderr) == (3, True)


@pytest.mark.parametrize("part", UNDO)
def test_recover_and_rescue_obey_no_undo_that_an_access_control_list_opens(stage: Stage, part: str):
    """Another user may get as far as there without a write permission above; root did that, too."""
    assert stage.start().status == 0
    grant(Path(stage.root, part), NOBODY)
    stage.guest_ends()
    stage.host.kernel.clear_log()
    for arguments in (("recover",), ("recover", "--abort"), ("rescue", "--yes")):
        ended = stage.command(*arguments)
        assert (ended.returncode, "[state.writable]" in ended.stderr) == (3, True)
    assert stage.host.kernel.writes() == []


@pytest.mark.parametrize("mode", [0o664, 0o646, "list"])
def test_a_record_that_others_can_write_is_not_used(stage: Stage, mode: int | str):
    assert stage.start().status == 0
    journal = Path(stage.host.paths.boot_journal(UUID))
    grant(journal, NOBODY) if mode == "list" else journal.chmod(int(mode))
    stage.guest_ends()
    stage.host.kernel.clear_log()
    recovered = stage.command("recover")
    assert recovered.returncode in (1, 3)
    assert (str(journal) in recovered.stderr, "it can be written by others" in recovered.stderr) == (True, True)
    assert stage.host.kernel.writes() == []


@pytest.mark.parametrize("part", UNDO)
def test_a_release_runs_no_undo_that_an_access_control_list_opens(stage: Stage, tmp_path, part: str):
    assert stage.start().status == 0
    proof = tmp_path / "proof"
    Path(stage.host.paths.guest_markers(GUEST), "undo.sh").write_text(f"touch {proof}\n")
    grant(Path(stage.root, part), NOBODY)
    stage.guest_ends()
    assert stage.libvirt.call(GUEST, "release", "end", stage.xml).status == 0
    assert not proof.exists()


@pytest.mark.parametrize("part", ["undo.sh", ".", "..", "../.."])
def test_the_shim_runs_no_undo_that_an_access_control_list_opens(stage: Stage, tmp_path, part: str):
    assert stage.start().status == 0
    marks, proof = stage.host.paths.guest_markers(GUEST), tmp_path / "proof"
    Path(marks, "undo.sh").write_text(f"touch {proof}\n")
    shim = Path(stage.host.paths.shim)
    shim.write_text(shim.read_text().replace("python=", "python=/nowhere"))
    grant(os.path.join(marks, part), NOBODY)
    stage.libvirt.call(GUEST, "release", "end", stage.xml)
    assert not proof.exists()
    Path(marks, part).chmod(0o700)  # which also takes away what the list gives
    stage.libvirt.call(GUEST, "release", "end", stage.xml)
    assert proof.exists()


@pytest.mark.parametrize("arguments", OBEYING, ids=" ".join)
def test_no_command_obeys_records_that_an_access_control_list_opens(stage: Stage, arguments: tuple[str, ...]):
    os.makedirs(stage.host.paths.state, exist_ok=True)
    grant(stage.host.paths.state, NOBODY)
    ended = stage.command(*arguments)
    assert (ended.returncode, "[state.writable]" in ended.stderr) == (3, True)


def test_what_is_made_in_a_directory_with_a_default_list_is_judged_by_what_it_inherits(stage: Stage, as_nobody):
    """The umask does not count there (acl(5), OBJECT CREATION AND DEFAULT ACLs)."""
    guests = Path(stage.host.paths.guest_configs)
    grant(guests, NOBODY, default=True)
    assert stage.prepare().status == 0, "nothing that is there is opened by it"
    stage.stop()
    file = guests / "win11.toml"
    file.unlink()
    file.touch()
    assert as_nobody(writes(file))
    assert stage.prepare().status == 3


def test_what_we_make_in_a_directory_with_a_default_list_can_be_written_by_nobody_else(stage: Stage, as_nobody):
    for place in (stage.host.paths.at("run"), stage.host.paths.at("var/lib"), stage.host.paths.at("var/log")):
        grant(place, NOBODY, default=True)
    assert stage.start().status == 0
    made = [Path(top, name) for place in ("run/vfioctl", "var/lib/vfioctl", "var/log/vfioctl")
            for top, names, more in os.walk(Path(stage.root, place)) for name in (*names, *more)]  # fmt: skip
    assert made
    assert as_nobody(lambda: [str(path) for path in made if writes(path)()]) == []
    stage.stop()
    assert stage.wait_for_return()


def test_hook_verify_names_a_library_that_an_access_control_list_opens(installation):
    assert installation.install().returncode == 0
    library = installation.site / "library.py"
    library.touch()
    grant(library, NOBODY)
    said = installation.on_host("hook", "verify").stderr
    assert f"{library} {WHY}" in said
    assert f"chmod -R go-w {installation.site}" in said


@pytest.mark.parametrize("permissions", [READ, READ | SEARCH, 0])
def test_a_list_that_lets_nobody_write_is_fine(stage: Stage, permissions: int):
    for part in SETTINGS:
        grant(Path(stage.root, part), NOBODY, permissions)
    assert stage.prepare().status == 0
    assert not permissions & WRITE
