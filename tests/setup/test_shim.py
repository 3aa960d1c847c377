"""The hook as libvirt calls it, in each shell that may be /bin/sh."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from vfioctl.compose import Composition
from vfioctl.setup.shim import entry_file, interpreter_of, rendered

XML = "<domain/>"
NOBODY = 65534
ENVIRONMENT = {"LC_ALL": "C", "PATH": os.defpath, "HOME": "/root", "LD_LIBRARY_PATH": "/nowhere"}
SHELLS = [["dash"], ["bash", "--posix"], ["busybox", "sh"]]
Call = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(params=SHELLS, ids=["dash", "bash", "busybox"])
def call(request: pytest.FixtureRequest, composition: Composition, tmp_path: Path) -> Call:
    """Calls the hook as libvirt does."""
    shell: list[str] = request.param
    program = shutil.which(shell[0])
    if program is None:
        pytest.skip(f"{shell[0]} is not installed")
    shim = tmp_path / "50-vfioctl"
    shim.write_text(rendered(composition))

    def call(*argv: str, env: Mapping[str, str] = ENVIRONMENT, **options: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [program, *shell[1:], str(shim), *argv], input=XML, capture_output=True, text=True, check=False, env=env,
            **options,
        )  # fmt: skip

    return call


@pytest.fixture
def manage(root: Path) -> Callable[[str], Path]:
    """Gives a guest its file."""

    def manage(guest: str) -> Path:
        file = root / "etc/vfioctl/guests" / f"{guest}.toml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
        return file

    return manage


@pytest.fixture
def mark(root: Path) -> Callable[..., Path]:
    """Leaves a mark, as prepare does."""

    def mark(guest: str, name: str, text: str = "") -> Path:
        file = root / "run/vfioctl/guests" / guest / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    return mark


def test_an_unmanaged_guest_starts_nothing(call: Call, calls: Path) -> None:
    for operation in ("prepare", "start", "started", "stopped", "release", "reconnect", "migrate", "restore", "attach"):
        done = call("other", operation, "begin", "-")
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not calls.exists()


def test_prepare_of_a_managed_guest_becomes_the_hook(call: Call, calls: Path, composition: Composition, manage) -> None:
    manage("win11")
    Path(f"{calls}.do").write_text("echo our sentence >&2\nexit 3\n")
    done = call("win11", "prepare", "begin", "-")
    assert (done.returncode, done.stdout, done.stderr) == (3, "", "our sentence\n")
    said = calls.read_text().splitlines()
    isolated, _, module, *rest = composition.self_argv[1:]
    assert said == [isolated, entry_file(composition), *rest, "hook", "win11", "prepare", "begin", "-"]
    assert entry_file(composition).endswith(module.replace(".", "/") + ".py")
    assert Path(f"{calls}.stdin").read_text() == XML


def test_the_hook_gets_a_fixed_environment(call: Call, calls: Path, composition: Composition, manage) -> None:
    manage("win11")
    call("win11", "prepare", "begin", "-")
    environment = dict(line.partition("=")[::2] for line in Path(f"{calls}.env").read_text().splitlines())
    assert environment["LC_ALL"] == "C.UTF-8"
    assert environment["PATH"].startswith(composition.paths.programs)
    assert set(environment) - {"PATH", "LC_ALL"} <= {"PWD", "OLDPWD", "SHLVL", "_"}


@pytest.fixture
def hostile(tmp_path: Path, manage, mark) -> dict[str, str]:
    """For a guest with a card: an environment of the daemon whose programs leave a file, and which has the hook's own
    variables."""
    manage("win11")
    for name in ("started", "release"):
        mark("win11", name, "steps follow\n")
    mark("win11", "undo.sh", f"echo done >{tmp_path}/undone\n")
    planted = tmp_path / "planted"
    planted.mkdir()
    for name in ("id", "env", "find", "rm", "sh"):
        (planted / name).write_text(f"#!/bin/sh\n/usr/bin/touch {planted}/heeded\n")
        (planted / name).chmod(0o755)
    names = ("guest", "operation", "config", "marks", "python", "entry", "uid", "field", "_")
    return {
        "PATH": str(planted), "IFS": "/d", "CDPATH": str(planted), "HOME": str(planted), "POSIXLY_CORRECT": "1",
        "PYTHONPATH": str(planted), "PYTHONHOME": str(planted), "VFIOCTL_ROOT": str(planted),
        **dict.fromkeys(names, "other"),
    }  # fmt: skip


@pytest.mark.parametrize("operation", ["prepare", "started", "release"])
def test_path_ifs_and_variables_of_the_daemon_do_not_lead_the_hook_astray(
    call: Call, calls: Path, hostile, operation: str
) -> None:
    done = call("win11", operation, "begin", "-", env=hostile)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert calls.read_text().splitlines()[-4:] == ["win11", operation, "begin", "-"]
    kept = dict(line.partition("=")[::2] for line in Path(f"{calls}.env").read_text().splitlines())
    assert set(kept) <= {"PATH", "LC_ALL", "PWD", "OLDPWD", "SHLVL", "_"}
    assert hostile["PATH"] not in kept["PATH"]
    assert not Path(hostile["PATH"], "heeded").exists()
    assert Path(hostile["PATH"], "../undone").exists() == (operation == "release")


@pytest.mark.parametrize("operation", ["start", "started", "stopped", "release", "reconnect", "attach"])
def test_other_operations_are_called_only_with_their_mark(call: Call, calls: Path, manage, mark, operation) -> None:
    manage("win11")
    call("win11", operation, "begin", "-")
    assert not calls.exists()
    mark("win11", operation, "steps follow\n")
    call("win11", operation, "begin", "-")
    assert calls.read_text().splitlines()[-4:] == ["win11", operation, "begin", "-"]


@pytest.mark.parametrize("operation", ["start", "started", "stopped", "release", "reconnect"])
@pytest.mark.parametrize("end", ["exit 3", "kill -9 $$"])
def test_only_prepare_can_fail(call: Call, calls: Path, mark, operation: str, end: str) -> None:
    mark("win11", operation, "steps follow\n")
    Path(f"{calls}.do").write_text(f"{end}\n")
    assert call("win11", operation, "begin", "-").returncode == 0
    assert calls.exists()


def test_a_start_that_no_step_follows_only_disarms_the_dead_man(call: Call, calls: Path, mark) -> None:
    armed = mark("win11", "armed", "1 2 3\n")
    mark("win11", "started")
    done = call("win11", "started", "begin", "-")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not calls.exists()
    assert not armed.exists()


def test_a_mark_counts_after_the_guest_file_is_gone(call: Call, calls: Path, manage, mark) -> None:
    manage("win11").unlink()
    mark("win11", "release")
    call("win11", "release", "end", "-")
    assert calls.exists()


ODD_NAMES = [" a b", "-rf", "it's", 'say "x"', ".hidden", "$(reboot)", "größe", "a\nb", "*", "x" * 250]


@pytest.mark.parametrize("guest", ODD_NAMES)
def test_every_name_that_libvirt_accepts_works(call: Call, calls: Path, manage, guest: str) -> None:
    manage(guest)
    call(guest, "prepare", "begin", "-")
    assert f"\nhook\n{guest}\nprepare\nbegin\n-\n" in calls.read_text()


@pytest.mark.parametrize("guest", ["", ".", "..", "a/b", "../guests/win11", "x" * 251, "ö" * 126])
def test_a_name_that_is_no_file_name_is_ignored(call: Call, calls: Path, manage, guest: str) -> None:
    manage("win11")
    for operation in ("prepare", "release", "migrate"):
        done = call(guest, operation, "begin", "-")
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not calls.exists()


@pytest.mark.parametrize("operation", ["", "../win11/release", "re lease", "RELEASE", "undo.sh"])
def test_an_unknown_operation_is_ignored(call: Call, calls: Path, mark, operation: str) -> None:
    mark("win11", "undo.sh")
    mark("win11", "release")
    assert call("win11", operation, "begin", "-").returncode == 0
    assert call("win11").returncode == 0
    assert call().returncode == 0
    assert not calls.exists()


@pytest.mark.parametrize("operation", ["migrate", "restore"])
def test_an_incoming_guest_leaves_a_mark_and_keeps_its_xml(call: Call, root: Path, manage, operation) -> None:
    manage("win11")
    done = call("win11", operation, "begin", "-")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    incoming = root / "run/vfioctl/guests/win11/incoming"
    assert incoming.exists()
    assert incoming.parent.stat().st_mode & 0o077 == 0


def test_an_incoming_guest_is_not_stopped_by_a_full_or_missing_run(call: Call, root: Path, manage) -> None:
    manage("win11")
    (root / "run").rmdir()
    (root / "run").touch()
    done = call("win11", "migrate", "begin", "-")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("opened", ["", "guests", "guests/win11"])
def test_an_incoming_guest_leaves_no_mark_where_another_user_could_lay_a_link(
    call: Call, root: Path, manage, mark, opened: str
) -> None:
    manage("win11")
    target = root / "target"
    target.write_text("root's alone")
    mark("win11", "incoming").unlink()
    (root / "run/vfioctl/guests/win11/incoming").symlink_to(target)
    (root / "run/vfioctl" / opened).chmod(0o777)
    done = call("win11", "migrate", "begin", "-")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert target.read_text() == "root's alone"


def test_without_its_interpreter_prepare_says_one_sentence(call: Call, composition: Composition, manage) -> None:
    manage("win11")
    Path(composition.self_argv[0]).unlink()
    done = call("win11", "prepare", "begin", "-")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "Guest win11 was not started and nothing has changed." in done.stderr
    assert composition.self_argv[0] in done.stderr


def test_without_its_interpreter_other_guests_start(call: Call, composition: Composition, manage) -> None:
    manage("win11")
    Path(composition.self_argv[0]).unlink()
    assert call("other", "prepare", "begin", "-").returncode == 0


def test_release_without_the_released_mark_runs_the_rendered_undo(call: Call, composition, mark, tmp_path) -> None:
    Path(composition.self_argv[0]).unlink()
    mark("win11", "release")
    mark("win11", "undo.sh", f"echo noise; echo noise >&2; env >'{tmp_path}/undone'; exit 5\n")
    done = call("win11", "release", "end", "-")
    assert done.returncode == 0
    assert "noise" not in done.stdout + done.stderr
    assert f"PATH={composition.paths.programs}" in (tmp_path / "undone").read_text()


def test_release_that_left_its_mark_is_not_undone_again(call: Call, calls: Path, root: Path, mark, tmp_path) -> None:
    mark("win11", "release")
    mark("win11", "undo.sh", f"touch '{tmp_path}/undone'\n")
    Path(f"{calls}.do").write_text(f"touch \"{root}/run/vfioctl/guests/win11/released\"\n")
    call("win11", "release", "end", "-")
    assert calls.exists()
    assert not (tmp_path / "undone").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user needs root")
def test_the_daemon_of_another_user_is_ignored(call: Call, open_to_all: Path, calls: Path, manage, mark) -> None:
    manage("win11")
    mark("win11", "release")
    for operation in ("prepare", "release", "migrate"):
        done = call("win11", operation, "begin", "-", user=NOBODY)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not calls.exists()
    assert not (open_to_all / "run/vfioctl/guests/win11/incoming").exists()


def test_a_guest_file_that_leads_nowhere_still_manages_its_guest(call: Call, root: Path, calls: Path, manage) -> None:
    file = manage("win11")
    file.unlink()
    file.symlink_to(root / "nowhere")
    call("win11", "prepare", "begin", "-")
    assert calls.exists()


def test_the_interpreter_can_be_read_back(composition: Composition) -> None:
    assert interpreter_of(rendered(composition)) == composition.self_argv[0]
    assert interpreter_of("#!/bin/sh\n") == ""


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
def test_the_rendered_hook_passes_shellcheck(composition: Composition, tmp_path: Path) -> None:
    shim = tmp_path / "50-vfioctl"
    shim.write_text(rendered(composition))
    checked = subprocess.run(["shellcheck", "-s", "sh", str(shim)], capture_output=True, text=True, check=False)
    assert checked.stdout == ""
