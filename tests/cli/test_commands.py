"""What each command does on a host without a card: files, exit status, the one sentence of an error."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from vfioctl.handoff import identity
from vfioctl.paths import Paths
from vfioctl.testing.domains import UUID, domain
from vfioctl.txn.history import Run, StepTime, record

CARD = "0000:01:00.0"


@pytest.fixture
def paths(root: Path) -> Paths:
    return Paths(str(root))


@pytest.fixture
def xml(tmp_path: Path) -> str:
    """The domain of a guest that gets one function, managed='yes'."""
    file = tmp_path / "win11.xml"
    file.write_text(domain("win11", hostdevs=(CARD,), managed=True))
    return str(file)


@pytest.fixture
def card(root: Path) -> Path:
    """A network card without driver at CARD."""
    place = root / "sys/bus/pci/devices" / CARD
    place.mkdir()
    values = {"class": "0x020000", "vendor": "0x8086", "device": "0x1521", "subsystem_vendor": "0x8086",
              "subsystem_device": "0x0001", "driver_override": "(null)"}  # fmt: skip
    for name, value in values.items():
        (place / name).write_text(f"{value}\n")
    return place


# ---------------------------------------------------------------- enable, disable


def test_enable_writes_the_file_pins_the_card_and_shows_the_change(run, root, paths, card, xml) -> None:
    shown = run("enable", "win11", "--xml", xml)
    assert shown.status == 0
    assert (root / "etc/vfioctl/guests/win11.toml").is_file()
    assert identity.pinned(paths, UUID) == {CARD: "8086:1521:8086:0001"}
    assert '-    <hostdev mode="subsystem" type="pci" managed="yes">' in shown.out
    assert '+    <hostdev mode="subsystem" type="pci" managed="no">' in shown.out
    assert "virsh edit win11" in shown.err


def test_enable_twice_keeps_what_the_file_says(run, root, card, xml) -> None:
    run("enable", "win11", "--xml", xml)
    file = root / "etc/vfioctl/guests/win11.toml"
    file.write_text('# mine\nsession = "keep"\n')
    shown = run("enable", "win11", "--xml", xml, "--format", "json")
    assert shown.envelope["data"]["created"] is False
    assert file.read_text() == '# mine\nsession = "keep"\n'


def test_end_session_is_written_into_the_file_that_is_there(run, root, card, xml) -> None:
    run("enable", "win11", "--xml", xml)
    run("enable", "win11", "--xml", xml, "--end-session")
    assert 'session = "end"' in (root / "etc/vfioctl/guests/win11.toml").read_text()


def test_a_linked_private_file_gets_end_session_where_it_lies(run, root, card, xml) -> None:
    run("enable", "win11", "--xml", xml)
    file, kept = root / "etc/vfioctl/guests/win11.toml", root / "srv/win11.toml"
    kept.parent.mkdir(mode=0o755)
    kept.write_text("# mine\n")
    kept.chmod(0o640)
    file.unlink()
    file.symlink_to("../../../srv/win11.toml")
    run("enable", "win11", "--xml", xml, "--end-session")
    assert file.is_symlink()
    assert 'session = "end"' in kept.read_text()
    assert kept.stat().st_mode & 0o777 == 0o640


def test_enable_of_a_domain_with_a_missing_device_changes_nothing(run, root, xml) -> None:
    shown = run("enable", "win11", "--xml", xml)
    assert shown.status == 3
    assert f"There is no PCI device {CARD}" in shown.err
    assert "[device.missing]" in shown.err
    assert not (root / "etc/vfioctl").exists()


def test_a_guest_without_any_device_can_be_managed(run, root, tmp_path) -> None:
    (tmp_path / "x.xml").write_text(domain("x"))
    assert run("enable", "x", "--xml", str(tmp_path / "x.xml")).status == 0
    assert (root / "etc/vfioctl/guests/x.toml").is_file()


@pytest.mark.parametrize("name", ["a guest", "it's", '"q"', "-rf", "ümlaut", "a.b", "x" * 250])
def test_every_name_that_libvirt_takes_can_be_enabled_and_disabled(run, root, tmp_path, name) -> None:
    (tmp_path / "x.xml").write_text(domain(name))
    assert run("enable", "--xml", str(tmp_path / "x.xml"), "--", name).status == 0
    assert os.path.lexists(Paths(str(root)).guest_config(name))
    assert run("disable", "--", name).status == 0
    assert not os.path.lexists(Paths(str(root)).guest_config(name))


@pytest.mark.parametrize("name", [".", "..", "x" * 251, "a/b"])
def test_a_name_that_cannot_be_a_file_is_refused(run, root, name) -> None:
    shown = run("enable", name)
    assert (shown.status, "[guest.name]" in shown.err) == (3, True)
    assert not (root / "etc/vfioctl").exists()


def test_the_xml_of_another_guest_is_refused(run, xml) -> None:
    shown = run("enable", "linux", "--xml", xml)
    assert shown.status == 3
    assert "is called 'win11', not 'linux'. [domain.other_name]" in shown.err


@pytest.mark.parametrize(
    ("text", "code"),
    [("", "domain.malformed"), ("<domain>", "domain.malformed"), ("<network/>", "domain.malformed"),
     ("<domain><name>a</name></domain>", "domain.no_uuid"), ("<!DOCTYPE d [<!ENTITY a 'b'>]><domain/>", "domain.")],
)  # fmt: skip
def test_xml_that_is_no_domain_is_one_sentence_with_a_code(run, tmp_path, text, code) -> None:
    (tmp_path / "x.xml").write_text(text)
    shown = run("plan", "x", "--xml", str(tmp_path / "x.xml"))
    assert shown.status == 3
    assert code in shown.err
    assert shown.err.count("error:") == 1


def test_fifty_megabytes_of_xml_are_refused(run, tmp_path) -> None:
    with open(tmp_path / "big.xml", "wb") as file:
        file.truncate(50 << 20)
    assert "[domain.too_large]" in run("plan", "x", "--xml", str(tmp_path / "big.xml")).err


def test_disable_shows_the_way_back_and_names_the_daemon(run, root, paths, card, xml) -> None:
    run("enable", "win11", "--xml", xml)
    text = Path(xml).read_text()
    Path(xml).write_text(text.replace('managed="yes"', 'managed="no"'))
    shown = run("disable", "win11", "--xml", xml)
    assert shown.status == 0
    assert '+    <hostdev mode="subsystem" type="pci" managed="yes">' in shown.out
    assert "Restart the libvirt daemon" in shown.err
    assert identity.pinned(paths, UUID) is None
    assert not (root / "etc/vfioctl/guests/win11.toml").exists()


def test_the_file_of_a_disabled_guest_comes_back_when_it_is_enabled_again(run, root, card, xml) -> None:
    run("enable", "win11", "--xml", xml)
    file = root / "etc/vfioctl/guests/win11.toml"
    file.write_text('# mine\nsession = "end"\n')
    run("disable", "win11", "--xml", xml)
    run("enable", "win11", "--xml", xml)
    assert file.read_text() == '# mine\nsession = "end"\n'


def test_a_guest_that_is_not_managed_cannot_be_disabled(run) -> None:
    shown = run("disable", "win11")
    assert (shown.status, "[guest.unmanaged]" in shown.err) == (3, True)


# ---------------------------------------------------------------- config


def test_a_setting_is_set_with_its_comments_kept_and_shown_with_its_origin(run, root, tmp_path) -> None:
    file = root / "etc/vfioctl/config.toml"
    file.parent.mkdir(parents=True)
    file.write_text("# slow disks\n[deadlines]\nprepare = 60\n")
    assert run("config", "set", "deadlines.prepare", "90").status == 0
    assert file.read_text() == "# slow disks\n[deadlines]\nprepare = 90.0\n"
    assert run("config", "get", "win11", "deadlines.prepare").out == "90\n"
    rows = run("config", "show", "win11", "--format", "json").envelope["data"]["settings"]
    (row,) = (row for row in rows if row["path"] == "deadlines.prepare")
    assert row["origin"] == "/etc/vfioctl/config.toml:3"


def test_the_environment_wins_over_the_files(run) -> None:
    shown = run("config", "get", "win11", "session", environ={"VFIOCTL_SESSION": "end"})
    assert shown.out == "end\n"


def test_a_wrong_value_changes_nothing_and_says_what_was_expected(run, root) -> None:
    shown = run("config", "set", "deadlines.prepare", "soon")
    assert shown.status == 3
    assert "deadlines.prepare" in shown.err
    assert "expected" in shown.err
    assert not (root / "etc/vfioctl/config.toml").exists()


def test_an_unknown_setting_is_refused_with_the_nearest_one(run) -> None:
    shown = run("config", "get", "win11", "sesion")
    assert shown.status == 3
    assert '"session"' in shown.err


def test_validate_shows_everything_wrong_at_once(run, root) -> None:
    guests = root / "etc/vfioctl/guests"
    guests.mkdir(parents=True)
    (guests / "a.toml").write_text("sesion = 1\n")
    (guests / "b.toml").write_text('session = "never"\n')
    shown = run("config", "validate")
    assert shown.status == 3
    assert shown.err.count("error:") == 2
    assert "guests/a.toml:1: sesion" in shown.err
    assert "guests/b.toml:1: session" in shown.err


def test_a_setting_for_a_guest_that_is_not_managed_is_refused(run) -> None:
    assert "[guest.unmanaged]" in run("config", "set", "session", "end", "--guest", "win11").err


# ---------------------------------------------------------------- history, status, recover, rescue


def test_history_names_the_id_that_is_unknown(run) -> None:
    shown = run("history", "20200101T000000-x")
    assert shown.status == 3
    assert "[history.unknown]" in shown.err


def test_history_shows_at_most_what_was_asked_for(run, paths) -> None:
    for number in range(3):
        step = StepTime("a", "unit.stop", "give", 0.0, 1.0, "done")
        record(paths, Run(f"2026112{number}T000000-x", "x", UUID, "prepare", 0.0, 1.0, ok=True, steps=(step,)))
    rows = run("history", "--limit", "2", "--format", "json").envelope["data"]["hand_offs"]
    assert [row["id"] for row in rows] == ["20261122T000000-x", "20261121T000000-x"]


def test_a_damaged_record_is_named_and_the_rest_is_shown(run, root) -> None:
    (root / "var/lib/vfioctl/history").mkdir(parents=True)
    (root / "var/lib/vfioctl/history/a.json").write_text("{")
    shown = run("history")
    assert shown.status == 0
    assert "a.json cannot be read. [history.damaged]" in shown.err


def test_status_says_what_is_corrupt_and_goes_on(run, root) -> None:
    (root / "run/vfioctl/journal").mkdir(parents=True)
    (root / f"run/vfioctl/journal/{UUID}.jsonl").write_text("garbage\n")
    shown = run("status")
    assert shown.status == 1
    assert "no graphics card" in shown.out
    assert "[journal.corrupt]" in shown.err
    assert "vfioctl rescue" in shown.err


def test_status_goes_on_when_a_record_of_a_stuck_write_is_damaged(run, root, card) -> None:
    (root / "run/vfioctl/stuck").mkdir(parents=True)
    (root / f"run/vfioctl/stuck/{CARD}.json").write_text("{")
    shown = run("status")
    assert shown.status == 1
    assert shown.err.count("[stuck.malformed]") == 1


def test_recover_says_that_nothing_is_unfinished(run) -> None:
    shown = run("recover")
    assert (shown.status, shown.out) == (0, "Nothing is unfinished.\n")


def test_abort_needs_a_guest(run) -> None:
    assert run("recover", "--abort").status == 2


def test_recover_names_a_corrupt_journal_and_the_way_out(run, root) -> None:
    (root / "run/vfioctl/journal").mkdir(parents=True)
    (root / f"run/vfioctl/journal/{UUID}.jsonl").write_text("garbage\n")
    shown = run("recover")
    assert shown.status == 1
    assert "[journal.corrupt]" in shown.err
    assert "vfioctl rescue" in shown.err


def test_hook_commands_tell_what_they_did(run, root) -> None:
    installed = run("hook", "install")
    assert installed.out.startswith("/etc/libvirt/hooks/qemu.d/50-vfioctl: changed.\n")
    assert "/etc/libvirt/hooks/qemu.d/50-vfioctl: everything was as it should be." in run("hook", "install").out
    assert run("hook", "verify").out.startswith("/etc/libvirt/hooks/qemu.d/50-vfioctl: ")
    assert "removed, with what belongs to it." in run("hook", "uninstall").out
    assert "nothing was installed." in run("hook", "uninstall").out


def test_without_the_test_kit_the_demo_says_how_to_install_it(run, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "vfioctl.cli.demo", None)
    shown = run("demo")
    assert shown.status == 1
    assert "[demo.missing]" in shown.err
    assert "Install vfioctl again" in shown.err


def test_without_fuse_the_demo_is_one_sentence(run, monkeypatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    shown = run("demo")
    assert shown.status == 1
    assert shown.err == (
        "error: The simulated host cannot be started: the program fusermount3 is not installed. [demo.fuse]\n"
        "  Nothing was changed.\n  Install fuse3, for example with: sudo apt-get install fuse3\n"
    )


def test_an_empty_command_line_shows_the_help_and_is_wrong(run) -> None:
    shown = run()
    assert shown.status == 2
    assert "Commands:" in shown.out
    assert shown.err.startswith("error: A command is missing. [usage]\n")


def test_an_interrupt_is_no_traceback(run, monkeypatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("vfioctl.actions.history.read_all", interrupt)
    shown = run("history")
    assert (shown.status, shown.err.lstrip()) == (
        130, "error: Interrupted. [interrupted]\n  See how things are with: vfioctl status\n"
    )  # fmt: skip


# ---------------------------------------------------------------- root, formats, streams


@pytest.fixture
def unprivileged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 4242)


@pytest.mark.parametrize(
    "command", ["recover", "rescue", "enable x", "disable x", "config set a b", "plugins refresh", "hook install",
                "hook uninstall"],
)  # fmt: skip
def test_without_root_the_rest_says_so_before_anything_else(run, unprivileged, command) -> None:
    shown = run(*command.split(), "--format", "json")
    assert shown.status == 77
    (error,) = shown.envelope["errors"]
    assert error["code"] == "not_root"
    assert error["hints"][0] == f"Run it as root: sudo vfioctl {command} --format json"


@pytest.mark.parametrize(
    "command", ["gpu list", "gpu holders", "history", "list", "status", "config show x", "config get x session",
                "config validate", "plugins list"],
)  # fmt: skip
def test_without_root_what_only_looks_works(run, unprivileged, command) -> None:
    assert run(*command.split()).status == 0


def test_a_full_disk_is_one_sentence(run, root, monkeypatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device", "/var/lib/vfioctl/manifest.json")

    monkeypatch.setattr("vfioctl.files.write_json", full)
    shown = run("plugins", "refresh")
    assert shown.status == 1
    assert "No space left on device. [os.failed]" in shown.err


def test_a_wrong_command_line_is_answered_in_json_too(run) -> None:
    envelope = run("gpu", "lst", "--format", "json").envelope
    assert envelope["errors"][0]["code"] == "usage"


def test_a_wrong_command_line_is_answered_as_the_environment_asks(composition, capfd) -> None:
    from vfioctl.cli.app import main

    assert main(composition, ["gpu", "lst"], {"VFIOCTL_FORMAT": "json"}) == 2
    assert json.loads(capfd.readouterr().out)["errors"][0]["code"] == "usage"


def test_no_color_is_taken_from_the_environment_and_the_flag(composition) -> None:
    from vfioctl.cli.app import App

    assert App(composition, {"NO_COLOR": "1"}).color is False
    assert App(composition, {"NO_COLOR": ""}).color is None


def test_the_root_of_another_host_can_be_given(run, tmp_path, card) -> None:
    other = tmp_path / "other"
    (other / "sys/bus/pci/devices").mkdir(parents=True)
    assert json.loads(run("gpu", "list", "--all", "--root", str(other), "--format", "json").out)["data"]["groups"] == []
