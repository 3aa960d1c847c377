"""Names that name nothing: one exit status, the nearest name, and the list of what there is."""

from __future__ import annotations

from pathlib import Path

import pytest

from vfioctl.paths import Paths
from vfioctl.testing.domains import UUID, domain
from vfioctl.txn.history import Run, record

CARD = "0000:01:00.0"


@pytest.fixture
def virsh(root: Path):
    """A virsh that knows the guests win11 and linux; "down": one without a daemon."""

    def put(body: str) -> None:
        (root / "xml").write_text(domain("win11"))
        path = root / "usr/bin/virsh"
        path.write_text(f"#!/bin/sh\nPATH=/usr/bin:/bin\n{body}\n")
        path.chmod(0o755)

    put('case "$*" in *" list "*) printf "win11\\nlinux\\n\\n" ;; *) echo "error: no such domain" >&2; exit 1 ;; esac')
    return put


@pytest.fixture
def managed(root: Path) -> None:
    place = root / "etc/vfioctl/guests"
    place.mkdir(parents=True)
    (place / "win11.toml").touch()


@pytest.mark.parametrize("command", ["plan", "enable", "config show"])
def test_a_guest_that_libvirt_does_not_know_is_named_with_those_that_it_knows(run, virsh, command) -> None:
    shown = run(*command.split(), "WIN11")
    assert shown.status == 3
    assert "There is no guest 'WIN11'; did you mean \"win11\"? [guest.unknown]" in shown.err
    assert "The guests of this host: linux, win11" in shown.err
    assert "--xml" not in shown.err


def test_on_a_host_without_guests_there_is_none_of_that_name(run, virsh) -> None:
    virsh('case "$*" in *" list "*) ;; *) echo "error: no such domain" >&2; exit 1 ;; esac')
    for command in ("plan", "config show"):
        shown = run(*command.split(), "win11")
        assert (shown.status, shown.err.splitlines()) == (
            3, ["error: There is no guest 'win11'. [guest.unknown]", "  Nothing was changed."],
        )  # fmt: skip


def test_without_libvirts_programs_the_guests_are_those_of_its_files(run, root) -> None:
    (root / "etc/libvirt/qemu").mkdir()
    (root / "etc/libvirt/qemu/win11.xml").write_text(domain("win11"))
    shown = run("plan", "win10")
    assert (shown.status, 'did you mean "win11"?' in shown.err) == (3, True)


@pytest.mark.parametrize("command", ["plan", "enable"])
def test_a_daemon_that_is_down_is_called_down_and_not_the_guest_unknown(run, virsh, command) -> None:
    virsh('echo "error: failed to connect to the hypervisor" >&2; echo "error: No such file" >&2; exit 1')
    shown = run(command, "win11")
    assert shown.status == 3
    assert "libvirt does not answer: failed to connect to the hypervisor: No such file. [libvirt.down]" in shown.err
    assert "Start it with: systemctl start libvirtd" in shown.err
    assert "guest.unknown" not in shown.err


@pytest.mark.parametrize(
    ("command", "code"),
    [("disable win10", "guest.unmanaged"), ("config set session end --guest win10", "guest.unmanaged"),
     ("config validate win10", "guest.unmanaged"), ("recover win10", "guest.unknown"),
     ("status win10", "guest.unknown"), ("history --guest win10", "guest.unknown")],
)  # fmt: skip
def test_a_guest_that_vfioctl_does_not_know_is_named_with_those_that_it_knows(run, managed, command, code) -> None:
    shown = run(*command.split())
    assert shown.status == 3
    assert f'did you mean "win11"? [{code}]' in shown.err
    assert "vfioctl enable win10" not in shown.err


def test_a_guest_that_is_not_managed_gets_its_settings_and_a_word(run, virsh) -> None:
    shown = run("config", "get", "linux", "session")
    assert (shown.status, shown.out) == (0, "keep\n")
    assert "linux is not managed yet" in shown.err
    assert "[guest.unmanaged]" in shown.err


def test_an_unknown_setting_has_the_same_status(run, managed) -> None:
    shown = run("config", "get", "win11", "sesion")
    assert (shown.status, 'did you mean "session"?' in shown.err) == (3, True)


@pytest.fixture
def card(root: Path) -> None:
    place = root / "sys/bus/pci/devices" / CARD
    place.mkdir()
    for name, value in {"class": "0x030000", "vendor": "0x10de", "device": "0x2206"}.items():
        (place / name).write_text(f"{value}\n")


@pytest.mark.parametrize("text", ["0000:01:00.0", "01:00.0", "00000000:01:00.0"])
def test_an_address_is_taken_as_lspci_and_nvidia_smi_write_it(run, card, text) -> None:
    assert run("gpu", "holders", text).out == f"Nothing holds {CARD}.\n"


def test_an_address_without_a_device_is_refused_with_the_cards(run, card) -> None:
    shown = run("gpu", "holders", "02:00.0")
    assert shown.status == 3
    assert "There is no PCI device at 0000:02:00.0" in shown.err
    assert f"The cards of this host: {CARD}" in shown.err


@pytest.mark.parametrize("text", ["nonsense", "01:00", "01:00.9", "g1:00.0"])
def test_what_is_no_address_is_wrong_usage(run, card, text) -> None:
    shown = run("gpu", "holders", text)
    assert (shown.status, "expected a PCI address such as 0000:01:00.0" in shown.err) == (2, True)


def test_a_host_without_a_card_has_nothing_to_hold(run) -> None:
    assert run("gpu", "holders").out == "This host has no graphics card that could be held.\n"


@pytest.fixture
def records(root: Path) -> None:
    for day in (20, 21):
        name = f"202611{day}T000000-win11"
        record(Paths(str(root)), Run(name, "win11", UUID, "prepare", 0.0, 1.0, ok=True))


@pytest.mark.parametrize(
    ("text", "name"),
    [("last", "20261121T000000-win11"), ("20261120", "20261120T000000-win11"),
     ("20261121T000000-win11", "20261121T000000-win11")],
)  # fmt: skip
def test_a_record_is_found_by_its_beginning_and_as_the_last(run, records, text, name) -> None:
    assert run("history", text).out.startswith(f"{name}: prepare of win11")


def test_the_beginning_of_several_records_names_them(run, records) -> None:
    shown = run("history", "2026")
    assert shown.status == 3
    assert "They are: 20261121T000000-win11, 20261120T000000-win11" in shown.err


@pytest.mark.parametrize(("text", "said"), [
    ("20261121T000000-win10", 'did you mean "20261121T000000-win11"?'), ("lst", 'did you mean "last"?'),
    ("win11", "Those of that guest: vfioctl history --guest win11"), ("nosuch", "List them with: vfioctl history"),
])  # fmt: skip
def test_a_record_that_is_not_there_is_answered_with_what_may_be_meant(run, records, text, said) -> None:
    shown = run("history", text)
    assert (shown.status, said in shown.err, "[history.unknown]" in shown.err) == (3, True, True), shown.err


def test_without_a_record_there_is_no_last_one(run) -> None:
    assert run("history", "last").status == 3


def test_the_last_record_is_the_one_that_ended_last_though_another_of_that_second_has_a_later_name(run, root) -> None:
    for name, began in (("zeta", 0.1), ("alpha", 0.2)):
        name_of_run, started = f"20261121T101530-{name}", 1795256130 + began
        record(Paths(str(root)), Run(name_of_run, name, UUID, "prepare", started, 0.1, ok=True))
    assert "alpha" in run("history", "last").out
