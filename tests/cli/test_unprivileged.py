"""What works without root, run by a process that has none: it says what it could not read."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

import pytest
from somebody import NOBODY, without_root

from vfioctl.cli.app import main
from vfioctl.compose import compose
from vfioctl.files import make_private_dir, write_json
from vfioctl.paths import Paths
from vfioctl.testing.domains import UUID, domain
from vfioctl.txn.history import Run, record

CARD = "0000:01:00.0"

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


@pytest.fixture
def as_nobody(root: Path, tmp_path: Path) -> Callable[..., tuple[int, str]]:
    """Calls `vfioctl ARGUMENTS` in a child without root, once every module is loaded: status and both streams."""
    for place in (tmp_path, *tmp_path.parents):
        if str(place) in (tempfile.gettempdir(), "/"):
            break
        place.chmod(0o755)

    def call(*arguments: str, **environ: str) -> tuple[int, str]:
        output = tmp_path / "output"
        main(compose(str(root)), arguments, environ)
        with open(output, "w") as stream:
            status = without_root(lambda: _told(stream, lambda: main(compose(str(root)), arguments, environ)))
        return status, output.read_text()

    return call


def _told(stream: TextIO, work: Callable[[], int]) -> int:
    """The status of `work`, whose words go to `stream`."""
    sys.stdout = sys.stderr = stream
    return work()


def card(root: Path) -> None:
    place = root / "sys/bus/pci/devices" / CARD
    place.mkdir()
    values = {"class": "0x020000", "vendor": "0x8086", "device": "0x1521", "driver_override": "(null)"}
    for name, value in values.items():
        (place / name).write_text(f"{value}\n")


def hooks_place(root: Path) -> None:
    (root / "etc/libvirt/hooks").mkdir(parents=True, exist_ok=True)


def test_what_the_hook_would_change_is_told_and_nothing_is_changed(as_nobody, root) -> None:
    hooks_place(root)
    before = sorted(root.rglob("*"))
    status, said = as_nobody("hook", "install", "--dry-run")
    assert (status, sorted(root.rglob("*"))) == (0, before), said
    assert "50-vfioctl: would be changed, with what belongs to it.\n" in said
    assert "/var/lib/vfioctl/manifest.json\n" in said


def test_a_hook_that_root_has_installed_is_as_it_should_be_for_everybody(as_nobody, root) -> None:
    hooks_place(root)
    main(compose(str(root)), ["hook", "install"], {})
    status, said = as_nobody("hook", "install", "--dry-run")
    assert (status, "50-vfioctl: everything was as it should be.\n" in said) == (0, True), said


def test_what_would_go_with_the_hook_is_told_and_what_could_not_be_seen(as_nobody, root) -> None:
    hooks_place(root)
    main(compose(str(root)), ["hook", "install"], {})
    Path(root, "run/vfioctl/journal").mkdir(parents=True, mode=0o700)
    os.chmod(root / "run/vfioctl/journal", 0o700)
    status, said = as_nobody("hook", "uninstall", "--dry-run")
    assert (status, "would be removed" in said) == (0, True)
    assert (root / "etc/libvirt/hooks/qemu.d/50-vfioctl").exists()
    assert "Without root it is not seen whether a hand-off is unfinished" in said


def test_plan_says_which_of_our_own_state_it_could_not_read(as_nobody, root, tmp_path) -> None:
    card(root)
    paths = Paths(str(root))
    make_private_dir(paths.ledger)
    write_json(paths.identity(UUID), {"schema": 1, "guest": "win11", "devices": {}})
    (tmp_path / "win11.xml").write_text(domain("win11", hostdevs=(CARD,)))
    _, said = as_nobody("plan", "win11", "--xml", str(tmp_path / "win11.xml"))
    assert "takes 0000:01:00.0" in said
    assert "[identity.unreadable]" in said
    assert "[ledger.unreadable]" in said


def test_plan_says_of_which_networks_it_could_not_read_what_they_give(as_nobody, root, tmp_path) -> None:
    place = root / "etc/libvirt/qemu/networks"
    place.mkdir(parents=True)
    for name, mode in (("pool", 0o600), ("plain", 0o644)):
        (place / f"{name}.xml").write_text(f"<network><name>{name}</name></network>")
        (place / f"{name}.xml").chmod(mode)
    cards = "".join(f"<interface type='network'><source network='{one}'/></interface>" for one in ("pool", "plain"))
    (tmp_path / "win11.xml").write_text(domain("win11", devices=cards))
    _, said = as_nobody("plan", "win11", "--xml", str(tmp_path / "win11.xml"))
    assert "Whether network pool gives the guest a device of the host could not be read without root." in said
    assert said.count("[network.pool_unread]") == 1
    place.chmod(0o700)
    assert as_nobody("plan", "win11", "--xml", str(tmp_path / "win11.xml"))[1].count("[network.pool_unread]") == 2


def test_history_is_for_everybody(as_nobody, root) -> None:
    record(Paths(str(root)), Run("20261121T000000-x", "x", UUID, "prepare", 0.0, 1.0, ok=True))
    status, said = as_nobody("history")
    assert status == 0
    assert "20261121T000000-x" in said


def test_a_history_that_is_hidden_is_named(as_nobody, root) -> None:
    make_private_dir(Paths(str(root)).history)
    status, said = as_nobody("history")
    assert (status, "[history.unreadable]" in said) == (0, True)


def test_a_hidden_record_of_stuck_writes_does_not_hide_the_cards(as_nobody, root) -> None:
    card(root)
    make_private_dir(Paths(str(root)).stuck)
    status, said = as_nobody("gpu", "list", "--all")
    assert status == 0
    assert CARD in said


def test_doctor_says_of_how_many_processes_it_could_not_see_what_they_hold(as_nobody, root) -> None:
    card(root)
    (root / "sys/bus/pci/devices" / CARD / "class").write_text("0x030000\n")
    for number in (1, 2):
        place = root / f"proc/{number}"
        (place / "fd").mkdir(parents=True)
        (place / "stat").write_text(f"{number} (Xorg) S {' '.join(['0'] * 49)}\n")
        (place / "fd").chmod(0o500)
    _, said = as_nobody("doctor")
    assert "The open files of 2 processes could not be read: there may be more holders." in said
    (root / "proc/1/fd").chmod(0o555)
    (root / "proc/2/fd").chmod(0o555)
    assert "host.unreadable" not in as_nobody("doctor")[1]


@pytest.mark.parametrize("command", ["recover", "rescue", "hook install", "enable win11"])
def test_the_rest_says_that_it_needs_root(as_nobody, command) -> None:
    status, said = as_nobody(*command.split())
    assert (status, "[not_root]" in said) == (77, True)
    assert f"sudo vfioctl {command}" in said


def hidden_records(root: Path) -> Paths:
    """A managed guest, and directories of ours that only root may read."""
    paths = Paths(str(root))
    for place in (paths.boot_journal("x"), paths.last("x"), paths.identity("x")):
        make_private_dir(os.path.dirname(place))
    os.makedirs(paths.guest_configs)
    (Path(paths.guest_configs) / "win11.toml").touch()
    return paths


def test_status_and_list_show_what_everybody_may_see_and_say_what_is_hidden(as_nobody, root) -> None:
    hidden_records(root)
    status, said = as_nobody("status")
    assert (status, "win11 is off" in said, said.count("[state.unreadable]")) == (0, True, 1)
    status, said = as_nobody("list")
    assert (status, "win11" in said, said.count("[state.unreadable]")) == (0, True, 1)


def test_a_guest_that_runs_is_seen_to_run_and_what_it_was_given_is_hidden(as_nobody, root, tmp_path) -> None:
    hidden_records(root)
    process = root / "proc/4711"
    process.mkdir()
    words = ("qemu-system-x86_64", "-name", "guest=win11,debug-threads=on", "-uuid", UUID, "")
    (process / "cmdline").write_text("\0".join(words))
    (process / "stat").write_text("4711 (qemu-system-x86) S " + "0 " * 18 + "100 " + "0 " * 30)
    (tmp_path / "win11.xml").write_text(domain("win11", hostdevs=(CARD,)))
    status, said = as_nobody("plan", "win11", "--xml", str(tmp_path / "win11.xml"))
    assert (status, "win11 runs since" in said, "[state.unreadable]" in said) == (0, True, True)
    assert "guest.without_hook" not in said
    assert "running" in as_nobody("list")[1]
    assert "given nothing" not in as_nobody("status")[1]


@pytest.mark.parametrize("command", ["gpu holders", "config validate"])
def test_what_only_looks_answers(as_nobody, root, command) -> None:
    assert as_nobody(*command.split())[0] == 0


def test_a_sound_installation_is_sound_for_everybody(as_nobody, root) -> None:
    main(compose(str(root)), ["hook", "install"], {})
    status, said = as_nobody("hook", "verify")
    assert "[hook.changed]" not in said
    assert (status, "nothing would stop it from firing" in said) == (0, True)


@pytest.mark.parametrize(("rules", "words"), [("", 1), ("/etc/libvirt/hooks/** rmix,\n/usr/bin/* PUx,\n", 0)])
def test_that_a_profile_might_be_enforced_is_said_where_it_would_matter(as_nobody, root, rules, words) -> None:
    """Whoever opens the list of AppArmor's profiles without root gets EACCES, whatever its mode."""
    main(compose(str(root)), ["hook", "install"], {})
    loaded, profile = root / "sys/kernel/security/apparmor/profiles", root / "etc/apparmor.d/usr.sbin.libvirtd"
    for file, text in ((loaded, "libvirtd (enforce)\n"), (profile, f"profile libvirtd {{\n{rules}}}\n")):
        file.parent.mkdir(parents=True)
        file.write_text(text)
    loaded.chmod(0o600)
    said = as_nobody("list")[1]
    assert said.count("apparmor/profiles could not be looked at without root. [hook.unreadable]") == words


def test_a_hook_in_a_hidden_directory_is_not_called_missing(as_nobody, root) -> None:
    hidden_records(root)
    (root / "etc/libvirt").chmod(0o700)
    said = as_nobody("list")[1]
    assert "[hook.unreadable]" in said
    assert "[hook.missing]" not in said


def test_completion_is_installed_for_oneself(as_nobody, root, tmp_path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o777)
    home.chmod(0o777)
    status, said = as_nobody("completion", "--install", "zsh", HOME=str(home))
    own = home / ".local/share/zsh/site-functions/_vfioctl"
    assert (status, own.exists(), own.stat().st_uid) == (0, True, NOBODY)
    assert f"fpath=({own.parent} $fpath)" in said.replace("\n", " ")
    assert as_nobody("completion", "--remove", "zsh", HOME=str(home))[0] == 0
    assert not own.exists()


def test_who_has_no_home_is_told_that_there_is_no_place_for_a_completion(as_nobody) -> None:
    status, said = as_nobody("completion", "--install", "fish")
    assert (status, "[completion.no_place]" in said) == (3, True)
