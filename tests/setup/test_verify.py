"""What `hook verify` finds: each thing that would stop the hook from firing, and nothing on a good host."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from vfioctl.compose import Composition
from vfioctl.findings import Finding, Severity
from vfioctl.setup.install import install
from vfioctl.setup.verify import verify, would_not_fire
from vfioctl.wait import until


@contextmanager
def running(name: str, root: Path, place: Path, *, wrapper: tuple[str, ...] = ()) -> Iterator[int]:
    """A process called `name` that starts now, listed in the host's /proc; `wrapper` is what executes it."""
    program = place / name
    shutil.copy("/bin/sleep", program)
    process = subprocess.Popen([*wrapper, str(program), "600"])
    (root / "proc" / str(process.pid)).symlink_to(f"/proc/{process.pid}")
    assert until(lambda: Path(f"/proc/{process.pid}/comm").read_text() == f"{name}\n", 10.0)
    try:
        yield process.pid
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def daemon(root: Path, tmp_path: Path) -> Iterator[int]:
    """A libvirtd that starts now."""
    with running("libvirtd", root, tmp_path) as pid:
        yield pid


@pytest.fixture
def installed(composition: Composition) -> Composition:
    """A host with the hook, present for a long time."""
    install(composition)
    os.utime(composition.paths.shim, (1000, 1000))
    return composition


def codes(findings: tuple[Finding, ...]) -> set[str]:
    return {finding.code for finding in findings}


def found(composition: Composition, code: str) -> Finding:
    return next(finding for finding in verify(composition) if finding.code == code)


def test_a_good_installation_has_no_finding(installed: Composition, daemon: int) -> None:
    assert verify(installed) == ()


def test_a_missing_hook_is_found(composition: Composition, daemon: int) -> None:
    assert "hook.missing" in codes(verify(composition))


def test_a_directory_in_its_place_is_found(composition: Composition, daemon: int) -> None:
    os.makedirs(composition.paths.shim)
    assert "hook.no_file" in codes(verify(composition))


def test_a_hook_without_execute_permission_is_found(installed: Composition, daemon: int) -> None:
    os.chmod(installed.paths.shim, 0o644)
    assert "hook.not_executable" in codes(verify(installed))


def test_crlf_is_found(installed: Composition, daemon: int) -> None:
    shim = Path(installed.paths.shim)
    shim.write_bytes(shim.read_bytes().replace(b"\n", b"\r\n"))
    os.utime(shim, (1000, 1000))
    assert codes(verify(installed)) == {"hook.line_endings", "hook.changed"}


def test_another_first_line_is_found(installed: Composition, daemon: int) -> None:
    shim = Path(installed.paths.shim)
    shim.write_text("\ufeff" + shim.read_text())
    os.utime(shim, (1000, 1000))
    assert codes(verify(installed)) == {"hook.shebang", "hook.changed"}


def test_a_changed_hook_is_found(installed: Composition, daemon: int) -> None:
    with open(installed.paths.shim, "a") as shim:
        shim.write("# mine\n")
    assert found(installed, "hook.changed").severity is Severity.WARN


def test_a_hook_of_another_installation_is_told_with_both_interpreters(installed: Composition, daemon: int) -> None:
    here = replace(installed, self_argv=("/opt/vfioctl/bin/python", *installed.self_argv[1:]))
    message = found(here, "hook.other_installation").message
    assert installed.self_argv[0] in message
    assert "/opt/vfioctl/bin/python" in message


def test_an_interpreter_that_is_gone_is_found(installed: Composition, daemon: int) -> None:
    os.unlink(installed.self_argv[0])
    assert "hook.interpreter_gone" in codes(verify(installed))


def test_a_program_that_is_gone_is_found_where_its_interpreter_is_there(installed: Composition, daemon: int) -> None:
    shim = Path(installed.paths.shim)
    shim.write_text(re.sub("^entry=.*", "entry=/opt/old/vfioctl/entry.py", shim.read_text(), flags=re.MULTILINE))
    os.utime(shim, (1000, 1000))
    assert "/opt/old/vfioctl/entry.py" in found(installed, "hook.entry_gone").message


def test_an_installation_that_others_can_write_is_found(installed: Composition, daemon: int) -> None:
    os.chmod(installed.self_argv[0], 0o777)
    assert codes(verify(installed)) == {"setup.writable"}


def test_a_daemon_that_started_before_any_hook_is_found_with_its_restart(installed: Composition, daemon: int) -> None:
    os.utime(installed.paths.shim, (time.time() + 5, time.time() + 5))
    finding = found(installed, "hook.daemon_older")
    assert str(daemon) in finding.message
    assert finding.hint == "systemctl restart libvirtd"
    assert install(installed).restart == "systemctl restart libvirtd"


def test_a_daemon_that_knows_an_older_hook_calls_ours_too(installed: Composition, root: Path, tmp_path: Path) -> None:
    other = root / "etc/libvirt/hooks/qemu"
    other.write_text("#!/bin/sh\n")
    other.chmod(0o755)
    until(lambda: time.time() > other.stat().st_ctime + 0.1, 1.0)
    with running("virtqemud", root, tmp_path):
        os.utime(installed.paths.shim, (time.time() + 5, time.time() + 5))
        assert codes(verify(installed)) == set()
        other.chmod(0o644)
        assert found(installed, "hook.daemon_older").hint == "systemctl restart virtqemud"


@pytest.mark.skipif(os.geteuid() != 0, reason="a mount namespace needs root")
def test_a_daemon_that_sees_other_hooks_is_not_judged(installed: Composition, root: Path, tmp_path: Path) -> None:
    hide = ("unshare", "-m", "--propagation", "private", "sh", "-c", 'mount -t tmpfs none "$0" && exec "$@"')
    with running("libvirtd", root, tmp_path, wrapper=(*hide, str(root / "etc/libvirt"))):
        assert found(installed, "hook.no_daemon").severity is Severity.WARN


def test_no_daemon_at_all_is_a_warning(installed: Composition) -> None:
    assert found(installed, "hook.no_daemon").severity is Severity.WARN


def test_in_the_tree_of_a_machine_that_does_not_run_there_is_none_either(installed: Composition, root: Path) -> None:
    (root / "proc").rmdir()
    assert codes(verify(installed)) == {"hook.no_daemon"}


@pytest.mark.parametrize(
    ("there", "command"),
    [
        (("virtqemud.service", "virtqemud.socket"), "systemctl enable --now virtqemud.socket"),
        (("libvirtd.service", "libvirtd.socket", "virtqemud.service", "virtqemud.socket"), "systemctl start libvirtd"),
        ((), "systemctl start libvirtd"),
    ],
)  # fmt: skip
def test_what_starts_the_daemon_depends_on_which_is_installed(
    installed: Composition, root: Path, put_program, there: tuple[str, ...], command: str
) -> None:
    (root / "run/systemd/system").mkdir(parents=True)
    put_program(
        "systemctl",
        f'shift 4; for unit; do case " {" ".join(there)} " in *" $unit "*) load=loaded;; *) load=not-found;; esac\n'
        'printf "Id=%s\nLoadState=%s\nActiveState=inactive\nJob=\nMainPID=0\n\n" "$unit" "$load"; done',
    )
    assert found(installed, "hook.no_daemon").hint == command


def test_a_socket_activated_daemon_is_known_by_its_socket(installed: Composition, root: Path, put_program) -> None:
    (root / "run/systemd/system").mkdir(parents=True)
    put_program(
        "systemctl",
        'shift 4; for unit; do state=inactive; [ "$unit" != virtqemud.socket ] || state=active\n'
        'printf "Id=%s\\nLoadState=loaded\\nActiveState=%s\\nJob=\\nMainPID=0\\n\\n" "$unit" "$state"; done',
    )
    assert verify(installed) == ()


def test_an_enforcing_selinux_with_its_boolean_off_is_found(installed: Composition, daemon: int, put_program) -> None:
    put_program("getenforce", "echo Enforcing")
    put_program("getsebool", 'echo "$1 --> off"')
    assert found(installed, "hook.selinux_boolean").hint == "setsebool -P virt_hooks_unconfined on"


def test_a_wrong_selinux_label_is_found(installed: Composition, daemon: int, put_program) -> None:
    put_program("getenforce", "echo Enforcing")
    put_program("getsebool", 'echo "$1 --> on"')
    put_program("ls", 'echo "unconfined_u:object_r:user_home_t:s0 $2"')
    assert "user_home_t" in found(installed, "hook.selinux_label").message
    put_program("ls", 'echo "system_u:object_r:virt_hook_t:s0 $2"')
    assert verify(installed) == ()


@pytest.mark.parametrize("state", ["Permissive", "Disabled"])
def test_a_selinux_that_does_not_enforce_is_no_matter(installed: Composition, daemon: int, put_program, state) -> None:
    put_program("getenforce", f"echo {state}")
    put_program("getsebool", 'echo "$1 --> off"')
    assert verify(installed) == ()


def test_an_apparmor_profile_without_a_rule_for_hooks_is_found(installed: Composition, root: Path, daemon: int) -> None:
    loaded = root / "sys/kernel/security/apparmor/profiles"
    loaded.parent.mkdir(parents=True)
    loaded.write_text("libvirtd (enforce)\n")
    profile = root / "etc/apparmor.d/usr.sbin.libvirtd"
    (profile.parent / "local").mkdir(parents=True)
    profile.write_text("profile libvirtd { /usr/bin/* PUx, }\n")
    hint = found(installed, "hook.apparmor").hint
    assert "hook.apparmor" in codes(would_not_fire(installed))
    assert f"printf '%s\\n' '/etc/libvirt/hooks/** rmix,' >>{profile.parent}/local/usr.sbin.libvirtd" in hint
    (profile.parent / "local/usr.sbin.libvirtd").write_text("/etc/libvirt/hooks/** rmix,\n")
    assert verify(installed) == ()
    (profile.parent / "local/usr.sbin.libvirtd").unlink()
    loaded.write_text("libvirtd (complain)\n")
    assert verify(installed) == ()


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("qemu", "virsh nodedev-detach pci_0000_01_00_0"),
        ("qemu.d/60-gpu", "echo 0000:01:00.0 > /sys/bus/pci/drivers/vfio-pci/bind"),
        ("qemu.d/60-gpu", 'echo vfio-pci > "/sys/bus/pci/devices/$1/driver_override"'),
        ("qemu.d/60-gpu", "systemctl stop display-manager"),
        ("qemu.d/50-vfio-handover", "exec /usr/lib/other/handover"),
    ],
)
def test_another_hook_that_hands_devices_off_is_found(installed, root: Path, daemon: int, name, line) -> None:
    rival = root / "etc/libvirt/hooks" / name
    rival.write_text(f"#!/bin/bash\n{line}\n")
    rival.chmod(0o755)
    assert str(rival) in found(installed, "hook.rival").message
    rival.chmod(0o644)
    assert verify(installed) == ()


def test_a_hook_that_only_speaks_of_it_is_no_rival(installed: Composition, root: Path, daemon: int) -> None:
    other = root / "etc/libvirt/hooks/qemu"
    other.write_text("#!/bin/sh\n# no driver_override here: vfioctl does it\niptables -A FORWARD -j ACCEPT\n")
    other.chmod(0o755)
    assert verify(installed) == ()


def test_a_dispatcher_s_scripts_count_for_a_managed_guest(installed: Composition, root: Path, daemon: int) -> None:
    script = root / "etc/libvirt/hooks/qemu.d/win11/prepare/begin/start.sh"
    script.parent.mkdir(parents=True)
    script.write_text("modprobe -i vfio-pci\n")
    dispatcher = root / "etc/libvirt/hooks/qemu"
    dispatcher.write_text("#!/bin/sh\n")
    dispatcher.chmod(0o755)
    assert verify(installed) == ()
    Path(installed.paths.guest_config("win11")).touch()
    assert str(script) in found(installed, "hook.rival").message


def test_a_managed_guest_of_a_user_s_own_daemon_is_found(installed: Composition, root: Path, daemon: int) -> None:
    (root / "etc/passwd").write_text("eve:x:1000:1000::/home/eve:/bin/bash\n")
    definition = root / "home/eve/.config/libvirt/qemu/win11.xml"
    definition.parent.mkdir(parents=True)
    definition.touch()
    assert verify(installed) == ()
    Path(installed.paths.guest_config("win11")).touch()
    assert "eve's own daemon" in found(installed, "hook.session_guest").message
    (root / "etc/libvirt/qemu").mkdir(parents=True)
    (root / "etc/libvirt/qemu/win11.xml").touch()
    assert verify(installed) == ()


@pytest.mark.parametrize(("first", "other"), [
    ("#!/opt/other/bin/python3 -I", True), ("#!{ours}/python3.13", False), ("#!/bin/sh", False), ("", False),
])  # fmt: skip
def test_the_program_of_another_installation_is_named(
    installed: Composition,
    root: Path,
    first: str,
    other: bool,  # noqa: FBT001 -- a case, not a switch
) -> None:
    program = root / "opt/elsewhere"
    program.parent.mkdir()
    program.write_text(f"{first.format(ours=os.path.dirname(installed.self_argv[0]))}\n")
    (root / "usr/local").mkdir(exist_ok=True)
    (root / "usr/local/bin").symlink_to("../bin")  # the same program twice
    (root / "usr/bin/vfioctl").symlink_to(program)
    said = [finding for finding in verify(installed) if finding.code == "setup.other_installation"]
    assert ["/opt/other/bin/python3" in finding.message for finding in said] == [True] * other
