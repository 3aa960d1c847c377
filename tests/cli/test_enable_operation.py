"""Plain `enable` and `disable` are operations: killed anywhere, twice at once, beside somebody's editor."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from vfioctl.testing.crash import crash_at, pause_at, paused
from vfioctl.testing.domains import UUID, domain
from vfioctl.testing.host import FakeHost
from vfioctl.testing.scenarios import two_gpu
from vfioctl.txn.journal import open_uuids
from vfioctl.wait import until

GPU, SOUND = "0000:01:00.0", "0000:01:00.1"
MINE = '# mine\nsession = "keep"\n'
MOST = 60  # boundaries of one operation
Done = subprocess.CompletedProcess[str]
pytestmark = pytest.mark.parametrize("fake_host", [two_gpu()], indirect=True)


@pytest.fixture
def argv(fake_host: FakeHost, tmp_path: Path) -> Callable[..., tuple[str, ...]]:
    """`vfioctl VERB win11`, whose domain is in a file."""
    xml = tmp_path / "win11.xml"
    xml.write_text(domain("win11", hostdevs=(GPU, SOUND), managed=True))
    return lambda verb, *words: (*fake_host.argv, verb, "win11", "--xml", str(xml), *words)


@pytest.fixture
def run(argv: Callable[..., tuple[str, ...]]) -> Callable[..., Done]:
    return lambda *words: subprocess.run(argv(*words), capture_output=True, text=True, check=False, cwd="/")


def kept(host: FakeHost) -> dict[str, str]:
    """What vfioctl keeps about the guest: each file below the root with its content."""
    paths = host.paths
    files = (paths.guest_config("win11"), paths.identity(UUID), paths.before_enable(UUID),
             os.path.join(paths.state, "disabled", "win11.toml"))  # fmt: skip
    return {os.path.relpath(file, host.root): Path(file).read_text() for file in files if os.path.lexists(file)}


def killed(host: FakeHost, run: Callable[..., Done], verb: str, number: int) -> bool:
    """Whether `verb` was killed at boundary `number`; what was begun is settled then."""
    crash_at(host.root, number)
    ended = run(verb)
    crash_at(host.root, None)
    if ended.returncode == 0:
        return False
    assert ended.returncode == -signal.SIGKILL, ended.stdout + ended.stderr
    settled = subprocess.run([*host.argv, "recover"], capture_output=True, text=True, check=False, cwd="/")
    assert settled.returncode == 0, settled.stdout + settled.stderr
    assert open_uuids(host.paths) == ()
    return True


@contextmanager
def standing_still(host: FakeHost, argv: tuple[str, ...], number: int) -> Iterator[subprocess.Popen[str]]:
    """`argv` that stops at boundary `number`; it goes on, and has ended, afterwards."""
    pause_at(host.root, number)
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd="/")
    assert until(lambda: bool(paused(host.root)), 60)
    pid = paused(host.root)
    crash_at(host.root, None)
    yield process
    assert pid
    os.kill(pid, signal.SIGCONT)
    process.wait(60)


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    with process.stdout as stream:
        return stream.read()


def test_enable_that_is_killed_at_any_boundary_leaves_all_or_nothing(fake_host: FakeHost, run: Callable[..., Done]):
    whole = {"etc/vfioctl/guests/win11.toml", f"var/lib/vfioctl/identity/{UUID}.json",
             f"var/lib/vfioctl/domains/{UUID}.json"}  # fmt: skip
    for number in range(1, MOST):
        if not killed(fake_host, run, "enable", number):
            break
        if kept(fake_host):  # all was done, and only the end not written
            assert (number, set(kept(fake_host))) == (number, whole)
            assert run("disable").returncode == 0
            os.unlink(os.path.join(fake_host.paths.state, "disabled", "win11.toml"))
    assert (number > 6, set(kept(fake_host))) == (True, whole)


def test_disable_that_is_killed_at_any_boundary_leaves_all_or_nothing(fake_host: FakeHost, run: Callable[..., Done]):
    assert run("enable").returncode == 0
    before = kept(fake_host)
    gone = {"var/lib/vfioctl/disabled/win11.toml"}
    for number in range(1, MOST):
        if not killed(fake_host, run, "disable", number):
            break
        if kept(fake_host) != before:
            assert (number, set(kept(fake_host))) == (number, gone)
            assert run("enable").returncode == 0
    assert (number > 6, set(kept(fake_host))) == (True, gone)


def test_a_guest_file_that_somebody_makes_meanwhile_is_never_overwritten(
    fake_host: FakeHost, argv: Callable[..., tuple[str, ...]]
):
    with standing_still(fake_host, argv("enable"), 1) as process:
        Path(fake_host.paths.guest_config("win11")).write_text(MINE)
    assert process.returncode not in (0, 4)
    assert "/etc/vfioctl/guests/win11.toml" in said(process)
    assert kept(fake_host) == {"etc/vfioctl/guests/win11.toml": MINE}


def test_a_guest_file_that_somebody_edits_meanwhile_is_not_removed(
    fake_host: FakeHost, argv: Callable[..., tuple[str, ...]], run: Callable[..., Done]
):
    assert run("enable").returncode == 0
    before = kept(fake_host)
    with standing_still(fake_host, argv("disable"), 1) as process:
        Path(fake_host.paths.guest_config("win11")).write_text(MINE)
    assert process.returncode not in (0, 4)
    assert "was changed between plan and apply" in said(process)
    assert kept(fake_host) == {**before, "etc/vfioctl/guests/win11.toml": MINE}


@pytest.mark.parametrize("verb", ["enable", "disable"])
def test_of_two_at_once_one_is_refused(
    fake_host: FakeHost, argv: Callable[..., tuple[str, ...]], run: Callable[..., Done], verb: str
):
    if verb == "disable":
        assert run("enable").returncode == 0
    with standing_still(fake_host, argv(verb), 2) as process:
        second = run(verb)
    assert (process.returncode, second.returncode) == (0, 3), second.stdout + second.stderr
    said(process)
    assert open_uuids(fake_host.paths) == ()


def test_both_are_on_record_as_operations_with_their_steps(fake_host: FakeHost, run: Callable[..., Done]):
    for verb, kinds in (("enable", ["file.write"] * 3), ("disable", ["file.write", *["file.set_aside"] * 3])):
        shown = json.loads(run(verb, "--format", "json").stdout)["data"]
        assert (shown["operation"]["operation"], shown["operation"]["ok"]) == (verb, True)
        assert [step["kind"] for step in shown["steps"]] == kinds


def test_a_guest_file_that_is_a_link_is_enabled_and_disabled_as_before(
    fake_host: FakeHost, run: Callable[..., Done]
):
    place = Path(fake_host.paths.at("etc/mine.toml"))
    place.write_text(MINE)
    file = Path(fake_host.paths.guest_config("win11"))
    file.parent.mkdir(parents=True, exist_ok=True)
    file.symlink_to("../../mine.toml")
    assert run("enable").returncode == 0
    ended = run("disable")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert (os.path.lexists(file), place.read_text()) == (False, MINE)
    assert kept(fake_host) == {"var/lib/vfioctl/disabled/win11.toml": MINE}


def test_a_private_guest_file_is_private_again_after_disable_and_enable(fake_host: FakeHost, run: Callable[..., Done]):
    file = Path(fake_host.paths.guest_config("win11"))
    assert run("enable").returncode == 0
    file.chmod(0o640)
    assert run("disable").returncode == 0
    assert run("enable").returncode == 0
    assert file.stat().st_mode & 0o777 == 0o640
