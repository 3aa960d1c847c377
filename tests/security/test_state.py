"""Our own state says what root does. Another user can neither write it, nor hold it, nor get it obeyed."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hand_offs import BY_NAME, GPU, GUEST, Stage

from vfioctl.kinds.common import driver_of
from vfioctl.testing import snapshot
from vfioctl.testing.domains import UUID
from vfioctl.testing.host import FakeHost

OURS = ("etc/vfioctl", "etc/libvirt/hooks", "run/vfioctl", "var/lib/vfioctl", "var/log/vfioctl")
# What works without root.
PUBLIC = ("etc/", "run/vfioctl/managed", "var/lib/vfioctl/history", "var/lib/vfioctl/manifest.json")
DIRECTORIES = ("run/vfioctl", "run/vfioctl/guests", "run/vfioctl/journal", "run/vfioctl/resources",
               "run/vfioctl/locks", "var/lib/vfioctl", "var/lib/vfioctl/journal")  # fmt: skip
GIVEN, OPENED = "given away", "opened"


def everything(root: str) -> Iterator[Path]:
    """Each file and directory of ours below `root`."""
    for top in OURS:
        yield Path(root, top)
        yield from Path(root, top).rglob("*")


def attempts(path: str) -> list[str]:
    """What this user can do to `path`."""
    tries: dict[str, Callable[[], object]] = {
        "write": lambda: os.close(os.open(path, os.O_WRONLY)),
        "truncate": lambda: os.truncate(path, 0),
        "mode": lambda: os.chmod(path, 0o777),
        "remove": lambda: os.rename(path, f"{path}.gone"),
        "create": lambda: os.mkdir(f"{path}/planted"),
        "link": lambda: os.symlink("/etc/passwd", f"{path}/planted"),
    }
    return [name for name, attempt in tries.items() if _goes(attempt)]


def _goes(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EISDIR):
            raise
        return False
    return True


def spoil(path: str, how: str) -> None:
    if how == GIVEN:
        os.chown(path, 12345, 12345)
    else:
        os.chmod(path, os.stat(path).st_mode | stat.S_IWOTH)


def test_another_user_can_change_nothing_of_ours_while_a_guest_has_the_card(stage, as_nobody):
    assert stage.start().status == 0
    paths = [str(path) for path in everything(stage.root)]
    assert {stage.host.paths.boot_journal(UUID), stage.host.paths.manifest, stage.host.paths.shim} <= set(paths)
    assert as_nobody(lambda: {path: found for path in paths if (found := attempts(path))}) == {}


def test_another_user_can_read_only_what_works_without_root(stage, as_nobody):
    assert stage.start().status == 0
    files = [str(path) for path in everything(stage.root) if path.is_file()]
    read = as_nobody(lambda: [path for path in files if os.access(path, os.R_OK)])
    assert [path for path in read if not path.removeprefix(f"{stage.root}/").startswith(PUBLIC)] == []


def test_another_user_can_hold_no_lock(stage, as_nobody):
    """A shared flock on a file that one may only read would keep every start waiting."""
    assert stage.start().status == 0
    files = [str(path) for path in everything(stage.root) if path.is_file()]

    def hold() -> list[str]:
        held = []
        for path in files:
            try:
                fcntl.flock(os.open(path, os.O_RDONLY), fcntl.LOCK_SH | fcntl.LOCK_NB)
                held.append(path)
            except OSError:
                continue
        return held

    assert [path for path in as_nobody(hold) if path.endswith(".lock")] == []


def test_another_user_cannot_make_the_places_before_us(stage, as_nobody):
    paths = [stage.host.paths.run, stage.host.paths.state, stage.host.paths.log]
    made = as_nobody(lambda: [path for path in paths if _goes(lambda path=path: os.mkdir(f"{path}.new"))])
    assert made == []


@pytest.mark.parametrize("how", [GIVEN, OPENED])
@pytest.mark.parametrize("directory", DIRECTORIES)
def test_a_start_is_refused_when_another_user_could_have_written_our_records(stage: Stage, directory: str, how: str):
    os.makedirs(os.path.join(stage.root, directory), exist_ok=True)
    spoil(os.path.join(stage.root, directory), how)
    before = stage.look()
    call = stage.prepare()
    assert call.status == 3
    assert f"{stage.root}/{directory}" in call.stderr
    assert ("belongs to uid 12345" if how == GIVEN else "can be written by others") in call.stderr
    assert snapshot.difference(before, stage.look(), allowed=("var/log/vfioctl*",)) == ()


def test_a_planted_journal_is_not_obeyed_by_release_recover_or_undo(stage: Stage, tmp_path):
    assert stage.start().status == 0
    proof = tmp_path / "proof"
    undo = os.path.join(stage.host.paths.guest_markers(GUEST), "undo.sh")
    Path(undo).write_text(f"touch {proof}\n")
    journal = Path(stage.host.paths.boot_journal(UUID))
    journal.write_text(journal.read_text().replace("driver.bind", "command.run"))
    spoil(stage.host.paths.run, OPENED)
    stage.guest_ends()
    stage.host.kernel.clear_log()
    assert stage.libvirt.call(GUEST, "release", "end", stage.xml).status == 0
    recovered = stage.command("recover")
    assert (recovered.returncode, "[state.writable]" in recovered.stderr) == (3, True)
    assert stage.command("rescue", "--yes").returncode == 3
    assert not proof.exists()
    assert stage.host.kernel.writes() == []


@pytest.mark.parametrize("where", ["undo.sh", ".", "..", "../.."])
def test_an_undo_that_another_user_could_have_written_is_not_run_by_the_shim(stage: Stage, tmp_path, where: str):
    """With no Python left, the shim is the only one who looks."""
    assert stage.start().status == 0
    marks, proof = stage.host.paths.guest_markers(GUEST), tmp_path / "proof"
    Path(marks, "undo.sh").write_text(f"touch {proof}\n")
    shim = Path(stage.host.paths.shim)
    shim.write_text(shim.read_text().replace("python=", "python=/nowhere"))
    spoil(os.path.join(marks, where), OPENED)
    assert stage.libvirt.call(GUEST, "release", "end", stage.xml).status == 0
    assert not proof.exists()
    Path(marks, where).chmod(0o700)
    assert stage.libvirt.call(GUEST, "release", "end", stage.xml).status == 0
    assert proof.exists()


def test_rescue_runs_an_undo_of_a_run_that_is_mounted_noexec(stage: Stage):
    assert stage.start().status == 0
    Path(stage.host.paths.guest_markers(GUEST), "undo.sh").chmod(0o600)
    stage.guest_ends()
    assert driver_of(stage.host.paths, GPU) == "vfio-pci"
    assert stage.command("rescue", "--yes").returncode == 0
    assert driver_of(stage.host.paths, GPU) == "igb"


def test_rescue_still_starts_the_desktop_when_it_may_not_obey_what_was_recorded(place: Path):
    with FakeHost(BY_NAME["nvidia-greeter"].machine(), place) as host:
        desktop = Stage(BY_NAME["nvidia-greeter"], host)
        assert desktop.start().status == 0
        spoil(host.paths.run, GIVEN)
        host.kernel.clear_log()
        assert "No undo.sh was run." in desktop.command("rescue", "--yes").stderr
        called = [call["argv"] for call in host.kernel.calls()]
        assert ["systemctl", "start", "--", "display-manager.service"] in called
        assert host.kernel.writes() == []


def test_a_log_directory_of_another_user_gets_nothing_and_stops_nothing(stage: Stage, tmp_path):
    """On many hosts a group may write /var/log: whoever makes our directory there first must not get us to follow."""
    os.mkdir(stage.host.paths.log)
    target = tmp_path / "target"
    target.write_text("")
    for name in ("vfioctl.log", "background.log"):
        os.link(target, os.path.join(stage.host.paths.log, name))
    spoil(stage.host.paths.log, GIVEN)
    assert stage.start().status == 0
    stage.stop()
    assert stage.wait_for_return(20)
    assert stage.differences() == ()
    assert target.read_text() == ""


@pytest.mark.parametrize("name", ["background.log", "vfioctl.log"])
def test_a_pipe_in_place_of_a_log_cannot_hold_the_return(stage: Stage, name: str):
    os.mkdir(stage.host.paths.log)
    os.mkfifo(os.path.join(stage.host.paths.log, name))
    spoil(stage.host.paths.log, GIVEN)
    assert stage.start().status == 0
    stage.stop()
    assert stage.wait_for_return(20)
    assert stage.differences() == ()
