"""What a shell completes: guests, settings, values, addresses and records, in every command that takes them."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from vfioctl.cli.app import App, root_group
from vfioctl.cli.shells import behind_break

GPU = "0000:01:00.0"
UUID = "11111111-2222-3333-4444-555555555555"


@pytest.fixture
def complete(composition, root: Path):
    """The words that are offered after these ones; the last one is not finished."""
    places = ("etc/libvirt/qemu", "etc/libvirt/qemu/networks", "etc/libvirt/storage", "etc/vfioctl/guests")
    for place in (*places, f"sys/bus/pci/devices/{GPU}"):
        (root / place).mkdir(parents=True)
    for place, name in (("qemu/networks", "lan"), ("storage", "fast")):
        (root / f"etc/libvirt/{place}/{name}.xml").write_text("")
    for name in ("win11", "linux"):
        (root / f"etc/libvirt/qemu/{name}.xml").write_text("")
    file = root / "etc/vfioctl/guests/win11.toml"
    file.write_text('units = ["a.service", "b.service"]\n')
    for path in (root / "etc/vfioctl", root / "etc/vfioctl/guests"):
        path.chmod(0o755)
    file.chmod(0o644)

    def after(*words: str) -> list[str]:
        *typed, incomplete = words
        shell = ShellComplete(root_group(), {"obj": App(composition, {})}, "vfioctl", "_VFIOCTL_COMPLETE")
        return [item.value for item in shell.get_completions(list(typed), incomplete)]

    return after


def test_a_guest_of_libvirt_is_offered_where_one_is_taken_into_care(complete) -> None:
    assert complete("enable", "") == ["linux", "win11"]
    assert complete("plan", "l") == ["linux"]


@pytest.mark.parametrize(
    "words", [("disable",), ("status",), ("recover",), ("config", "show"), ("config", "set", "--guest")]
)
def test_a_managed_guest_is_offered_everywhere_else(complete, words: tuple[str, ...]) -> None:
    assert complete(*words, "") == ["win11"]


@pytest.mark.parametrize(("words", "offered"), [
    (("guest", "start"), ["linux", "win11"]), (("snapshot", "create"), ["linux", "win11"]),
    (("network", "stop"), ["lan"]), (("pool", "show"), ["fast"]), (("volume", "delete"), ["fast"]),
    (("guest", "create", "new", "--network"), ["lan"]), (("guest", "create", "new", "--gpu"), ["first-free"]),
    (("guest", "create"), []),
    (("guest", "copy"), ["linux:", "win11:"]), (("guest", "copy", "file"), ["linux:", "win11:"]),
])  # fmt: skip
def test_verbs_of_plugins_offer_what_libvirt_keeps(complete, run, words: tuple[str, ...], offered: list[str]) -> None:
    run("plugins", "refresh")
    assert complete(*words, "") == offered
    assert complete(*words, "l") == [name for name in offered if name.startswith("l")]


@pytest.mark.parametrize("verb", ["attach", "detach"])
def test_usb_devices_are_offered_without_hubs_and_by_their_numbers_where_two_are_alike(
    complete, run, root: Path, verb: str
) -> None:
    plugged = {"1-1": ("1d6b:0002", "09"), "1-2": ("046d:c31c", "00"), "1-3": ("0781:5581", "00"),
               "2-1": ("0781:5581", "00")}  # fmt: skip
    for number, (name, (identity, kind)) in enumerate(plugged.items(), 1):
        place = root / "sys/bus/usb/devices" / name
        place.mkdir(parents=True)
        vendor, _, product = identity.partition(":")
        said = {"idVendor": vendor, "idProduct": product, "bDeviceClass": kind, "busnum": name[0], "devnum": number}
        for attribute, value in said.items():
            (place / attribute).write_text(f"{value}\n")
    run("plugins", "refresh")
    assert complete("guest", verb, "web", "--usb", "") == ["046d:c31c", "1.3", "2.4"]
    assert complete("guest", verb, "web", "--usb", "04") == ["046d:c31c"]


@pytest.mark.parametrize("words", [
    ("node", "show"), ("node", "cordon"), ("node", "remove"), ("node", "show", "--node"), ("node", "devices", "--node"),
])  # fmt: skip
def test_nodes_are_offered_where_one_is_meant(complete, root: Path, words: tuple[str, ...]) -> None:
    place = root / "etc/vfioctl/nodes"
    place.mkdir()
    (place / "rack7.toml").write_text("what is in it does not matter")
    assert complete(*words, "") == ["local", "rack7"]
    assert complete(*words, "r") == ["rack7"]


def test_settings_are_offered_and_only_lists_to_be_added_to(complete) -> None:
    assert "deadlines.prepare" in complete("config", "set", "dead")
    assert complete("config", "add", "dead") == []
    assert "units" in complete("config", "add", "u")


def test_values_are_offered_where_they_can_be_counted(complete) -> None:
    assert complete("config", "set", "session", "") == ["keep", "end"]
    assert complete("config", "set", "inhibit_sleep", "t") == ["true"]
    assert complete("config", "set", "deadlines.prepare", "") == []


def test_the_items_of_a_list_are_offered_to_be_taken_out(complete) -> None:
    assert complete("config", "unset", "--guest", "win11", "units", "") == ["a.service", "b.service"]


def test_addresses_and_records_are_offered(complete) -> None:
    assert complete("gpu", "holders", "0000:01") == [GPU]
    assert complete("history", "") == ["last"]


def test_a_completion_never_fails(complete, root: Path) -> None:
    (root / "etc/vfioctl/guests/win11.toml").write_text("units = [")
    assert complete("config", "unset", "--guest", "win11", "units", "") == []


def test_the_script_of_the_own_shell_is_printed_when_none_is_named(run) -> None:
    assert run("completion", environ={"SHELL": "/usr/bin/fish"}).out == run("completion", "fish").out
    shown = run("completion", environ={"SHELL": "/bin/tcsh"})
    assert shown.status == 2
    assert "your shell is tcsh; there are scripts for bash, zsh, fish." in shown.err


def test_it_is_put_in_its_place_and_taken_away_again(run, root: Path) -> None:
    file = root / "usr/local/share/bash-completion/completions/vfioctl"
    shown = run("completion", "--install", "bash")
    assert shown.status == 0
    assert shown.out.startswith("/usr/local/share/bash-completion/completions/vfioctl: written.")
    assert file.read_text().endswith(run("completion", "bash").out)
    assert run("completion", "--remove", "bash").status == 0
    assert not file.exists()


def test_what_bash_sees_as_several_words_is_completed_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMP_WORDBREAKS", " \t\n\"'><=;|&(:")
    assert behind_break(GPU, "0000:01") == "01:00.0"
    assert behind_break(GPU, "--gpu=") == GPU
    assert behind_break("win11", "wi") == "win11"
    monkeypatch.setenv("COMP_WORDBREAKS", " \t\n")
    assert behind_break(GPU, "--gpu=0000:01") == f"--gpu={GPU}"


def test_after_discard_the_damaged_journals_are_offered(complete, root) -> None:
    assert complete("recover", "") == ["win11"]
    (root / "run/vfioctl/journal").mkdir(parents=True)
    (root / f"run/vfioctl/journal/{UUID}.jsonl").write_text("")
    assert complete("recover", "--discard", "") == [UUID]


def test_what_is_offered_of_settings_writes_nothing(complete, composition) -> None:
    assert "deadlines.prepare" in complete("config", "set", "dead")
    assert not Path(composition.paths.manifest).exists()
