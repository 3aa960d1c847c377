"""`vfioctl node`: files of nodes are written, changed and removed. What does not answer is not added."""

from __future__ import annotations

import json
import socket
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from json_example import example
from json_shape import shape
from node_devices import EVERY

from vfioctl.actions import node_files
from vfioctl.actions.caller import Caller
from vfioctl.compose import Composition
from vfioctl.config import store
from vfioctl.doors import call
from vfioctl.virt import connection
from vfioctl.virt.guests import Guest

pytest.importorskip("libvirt", reason="libvirt-python is not installed (docs/how-to/install.md)")

MOCK = "test:///default"  # libvirt's own driver, which has one guest: "test"
REFUSES = "qemu+tcp://127.0.0.1:1/system"


@pytest.fixture
def place(root: Path) -> Path:
    return root / "etc/vfioctl/nodes"


@pytest.fixture
def mock(run: Callable[..., Any]) -> str:
    assert run("node", "add", "mock", MOCK, "--label", "room=2").status == 0
    return "mock"


def test_a_node_that_answers_is_added(run, place) -> None:
    shown = run("node", "add", "rack7", MOCK, "--label", "room=2", "--label", "rack=a=b")
    assert (shown.status, shown.err) == (0, "")
    assert shown.out.startswith("Node rack7 is added: ")
    file = place / "rack7.toml"
    assert tomllib.loads(file.read_text()) == {"uri": MOCK, "cordoned": False, "labels": {"room": "2", "rack": "a=b"}}
    assert (file.stat().st_mode & 0o777, place.stat().st_mode & 0o777) == (0o644, 0o755)


def test_a_linked_private_file_of_a_node_is_cordoned_where_it_lies(run, place, mock) -> None:
    file, kept = place / "mock.toml", place.parent / "kept"
    file.rename(kept)
    kept.chmod(0o600)
    file.symlink_to("../kept")
    assert run("node", "cordon", "mock").status == 0
    assert file.is_symlink()
    assert tomllib.loads(kept.read_text())["cordoned"] is True
    assert kept.stat().st_mode & 0o777 == 0o600


def test_a_node_that_another_adds_meanwhile_stays_as_it_is(run, place, monkeypatch) -> None:
    dial = node_files._dialled

    def slowly(call_, node):
        place.mkdir(parents=True)
        (place / "rack7.toml").write_text(f'uri = "{REFUSES}"\n')
        return dial(call_, node)

    monkeypatch.setattr(node_files, "_dialled", slowly)
    assert "There is a node 'rack7' already" in run("node", "add", "rack7", MOCK).err
    assert tomllib.loads((place / "rack7.toml").read_text())["uri"] == REFUSES


@pytest.mark.parametrize("words", [("cordon", "mock"), ("remove", "mock", "--yes"), ("add", "rack7", f"{MOCK}?two")])
def test_a_node_is_changed_by_one_at_a_time(run, mock, composition, monkeypatch, words) -> None:
    monkeypatch.setattr(store, "PATIENCE", 0.0)
    with store.changing(composition.paths):
        assert "The configuration is being changed by process" in run("node", *words).err


def test_a_node_that_does_not_answer_is_not_added_and_is_said_why(run, place) -> None:
    shown = run("node", "add", "rack7", REFUSES)
    assert (shown.status, shown.out) == (3, "")
    assert "Nobody listens on 127.0.0.1 where it is dialled. libvirt says: unable to connect" in shown.err
    assert "[node.refused]\n  The node was not added.\n" in shown.err
    assert not place.exists()


def test_a_node_that_hangs_is_given_up_and_not_added(run, place, monkeypatch) -> None:
    monkeypatch.setitem(connection.connect.__kwdefaults__, "limit", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as server:
        shown = run("node", "add", "rack7", f"qemu+tcp://127.0.0.1:{server.getsockname()[1]}/system")
    assert shown.status == 3
    assert "127.0.0.1 does not answer. [node.unreachable]" in shown.err
    assert not place.exists()


@pytest.mark.parametrize(("name", "uri", "code"), [
    ("../rack7", MOCK, "node.name"), ("", MOCK, "node.name"), (".rack", MOCK, "node.name"), ("a b", MOCK, "node.name"),
    ("x" * 64, MOCK, "node.name"), ("local", MOCK, "node.exists"), ("mock", MOCK, "node.exists"),
    ("other", MOCK, "node.exists"), ("here", "qemu:///system", "node.exists"),
    ("rack7", "qemu+tcp://rack7/system", "node.uri"), ("rack7", "rack7", "node.uri"),
])  # fmt: skip
@pytest.mark.usefixtures("mock")
def test_what_is_no_node_is_refused_before_it_is_dialled(run, place, name, uri, code) -> None:
    before = sorted(place.iterdir())
    shown = run("node", "add", name, uri)
    assert (shown.status, f"[{code}]" in shown.err) == (3, True), shown.err
    assert sorted(place.iterdir()) == before


def test_a_label_has_a_key_and_a_value(run) -> None:
    shown = run("node", "add", "rack7", MOCK, "--label", "room")
    assert (shown.status, "expected KEY=VALUE, found 'room'" in shown.err) == (2, True)


def test_a_list_has_every_node_and_why_one_does_not_answer(run, place, mock) -> None:
    (place / "gone.toml").write_text(f'uri = "{REFUSES}"\ncordoned = true\n')
    shown = run("node", "list")
    assert shown.status == 1
    rows = {line.split()[0]: line for line in shown.out.splitlines()[2:]}
    assert list(rows) == ["local", "gone", "mock"]
    assert "no answer" in rows["gone"]
    assert "ready" in rows["mock"]
    assert "1 of 1 run" in rows["mock"]
    assert "libvirt on gone does not answer" in shown.err
    data = {one["name"]: one for one in run("node", "list", "--format", "json").envelope["data"]["nodes"]}
    assert [(name, one["answers"], one["cordoned"]) for name, one in data.items()] == [
        ("local", False, False), ("gone", False, True), ("mock", True, False),
    ]  # fmt: skip
    assert data["gone"]["error"]["code"] == "libvirt.down"


def test_a_machine_is_shown_with_its_parts(run, mock) -> None:
    shown = run("node", "show", "mock").out
    for part in ("mock: ", "processor", "2 sockets, 16 cores, 16 threads", "6.0 GiB", "cell 1", "CPUs 8-15",
                 "huge pages", "IOMMU", "room=2", "Libvirt Test driver"):  # fmt: skip
        assert part in shown


def test_the_node_may_be_given_as_an_option(run, mock) -> None:
    assert run("node", "show", "--node", "mock").out == run("node", "show", "mock").out
    both = run("node", "show", "mock", "--node", "other")
    assert (both.status, "mock and --node other are two nodes" in both.err) == (2, True)


def test_the_name_of_this_hosts_processor_comes_from_the_kernel_where_the_firmware_is_silent(root, composition) -> None:
    (root / "proc/cpuinfo").write_text("processor\t: 0\nmodel name\t: Made-up  CPU 7\n\nprocessor\t: 1\n")
    (root / "etc/vfioctl/nodes").mkdir(parents=True)
    result = call(composition, "node show", {"node": MOCK}, Caller(0))
    assert result.data["node"]["processors"]["name"] == "Made-up CPU 7"
    assert result.data["node"]["processors"]["source"] == "cpuinfo"


def test_an_unknown_node_is_refused_with_the_nearest(run, mock) -> None:
    for words in (("show", "mokc"), ("devices", "mokc"), ("cordon", "mokc"), ("uncordon", "mokc"), ("remove", "mokc")):
        shown = run("node", *words)
        assert (shown.status, 'did you mean "mock"' in shown.err) == (3, True), shown.err


def test_a_removal_is_asked_for(run, place, mock) -> None:
    shown = run("node", "remove", "mock")
    assert (shown.status, "[node.unconfirmed_remove]" in shown.err) == (3, True)
    assert "vfioctl node remove mock --yes" in shown.err
    assert (place / "mock.toml").exists()


def test_a_node_that_is_removed_can_be_added_once_more(run, place, mock) -> None:
    shown = run("node", "remove", "mock", "--yes")
    assert shown.status == 0
    assert f"vfioctl node add mock {MOCK} --label room=2" in shown.out
    assert list(place.iterdir()) == []


def test_a_node_whose_file_is_wrong_can_be_removed(run, place, mock) -> None:
    (place / "mock.toml").write_text("uri = 7\n")
    assert run("node", "remove", "mock", "--yes").status == 0
    assert list(place.iterdir()) == []


def test_this_host_cannot_be_removed(run, place) -> None:
    assert "[node.local]" in run("node", "remove", "local", "--yes").err


def test_a_node_is_cordoned_and_its_comments_stay(run, place, mock) -> None:
    file = place / "mock.toml"
    file.write_text(f'# the old rack\nuri = "{MOCK}"  # by cable\ncordoned = false # for now\n\n[labels]\nroom = "2"\n')
    before = file.read_text()
    shown = run("node", "cordon", "mock")
    assert (shown.status, shown.out) == (0, "Node mock is cordoned: it takes no new guest and starts none.\n")
    assert file.read_text() == before.replace("cordoned = false", "cordoned = true")
    assert "cordoned" in run("node", "list").out
    assert "that was so before" in run("node", "cordon", "mock").out
    assert run("node", "uncordon", "mock").status == 0
    assert file.read_text() == before


def test_this_host_is_cordoned_by_a_file_of_its_own(run, place, composition) -> None:
    assert run("node", "cordon", "local").status == 0
    assert tomllib.loads((place / "local.toml").read_text()) == {"cordoned": True}
    assert run("node", "uncordon", "local").status == 0
    assert tomllib.loads((place / "local.toml").read_text()) == {"cordoned": False}


def test_a_file_that_is_wrong_is_not_changed(run, place, mock) -> None:
    (place / "mock.toml").write_text('uri = "xen:///"\n')
    shown = run("node", "cordon", "mock")
    assert (shown.status, "mock.toml:1: uri:" in shown.err) == (3, True)
    assert (place / "mock.toml").read_text() == 'uri = "xen:///"\n'


@pytest.mark.parametrize(("verb", "more"), [
    ("node add", {"uri": MOCK}), ("node remove", {"yes": True}), ("node cordon", {}), ("node uncordon", {}),
])  # fmt: skip
def test_only_root_changes_a_node(composition: Composition, place: Path, verb: str, more: dict[str, Any]) -> None:
    result = call(composition, verb, {"name": "local", **more}, Caller(65534))
    assert (result.exit_status, result.errors[0].code) == (77, "not_root")
    assert not place.exists()


def test_no_list_of_nodes_needs_libvirt_on_this_host(run, mock) -> None:
    shown = run("node", "devices", "--all-nodes", "--format", "json").envelope
    assert [one["answers"] for one in shown["data"]["nodes"]] == [False, True]
    assert shown["data"]["devices"] == []


@pytest.fixture
def stable(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same version of libvirt on every machine, and no more of its own driver than that has."""
    monkeypatch.setattr("vfioctl.virt.machine._version", lambda _number: "9.0.0")
    monkeypatch.setattr("vfioctl.virt.machine._free_pages", lambda *_asked: {})
    monkeypatch.setattr("vfioctl.virt.machine._domain_capabilities", lambda *_asked: None)


@pytest.fixture
def devices(monkeypatch: pytest.MonkeyPatch) -> None:
    """A node with devices: libvirt's own driver has none that we list."""
    monkeypatch.setattr("vfioctl.virt.devices.documents", lambda _libvirt: list(EVERY))


@pytest.mark.usefixtures("devices", "mock")
def test_devices_are_listed_by_kind_with_what_they_hang_on(run, golden) -> None:
    golden("node_devices.txt", run("node", "devices", "mock").whole)


@pytest.mark.usefixtures("devices", "mock")
@pytest.mark.parametrize(("kinds", "found"), [
    (("gpu",), {"0000:0a:1f.7"}), (("pci",), {"0000:0a:1f.7", "0000:00:01.0", "0000:02:00.0"}),
    (("disk", "usb"), {"/dev/nvme0n1", "/dev/sdb", "001:012"}),
])  # fmt: skip
def test_only_the_kinds_that_are_asked_for_are_listed(run, kinds: tuple[str, ...], found: set[str]) -> None:
    argv = ["node", "devices", "mock", "--format", "json", *(word for kind in kinds for word in ("--kind", kind))]
    assert {row["name"] for row in run(*argv).envelope["data"]["devices"]} == found


@pytest.mark.usefixtures("devices", "mock")
def test_devices_of_all_nodes_say_on_which_they_are(run) -> None:
    shown = run("node", "devices", "--all-nodes")
    assert shown.status == 1
    assert next(line for line in shown.out.splitlines() if "/dev/nvme0n1" in line).startswith("mock ")


@pytest.mark.usefixtures("devices", "mock")
def test_who_has_a_device_and_who_gets_it_is_told_apart(run, monkeypatch) -> None:
    address = "<address domain='0' bus='0x0a' slot='0x1f' function='0x7'/>"
    xml = f"<domain><devices><hostdev type='pci'><source>{address}</source></hostdev></devices></domain>"
    guests = (
        Guest(uuid="1", name="win11", state="running", persistent=True, saved=False, xml=xml, live_xml=xml),
        Guest(uuid="2", name="win10", state="off", persistent=True, saved=False, xml=xml),
    )
    monkeypatch.setattr("vfioctl.actions.node_devices.read_guests", lambda _connection: guests)
    (card,) = run("node", "devices", "mock", "--kind", "gpu", "--format", "json").envelope["data"]["devices"]
    assert (card["has"], card["gets"]) == (["win11"], ["win10", "win11"])
    assert "win11, win10 (off)" in run("node", "devices", "mock", "--kind", "gpu").out


@pytest.mark.usefixtures("stable", "devices")
def test_the_data_of_every_command_keeps_its_shape(run, composition, golden) -> None:
    def data(*argv: str) -> dict[str, Any]:
        return run(*argv, "--format", "json").envelope

    shown = {"node add": data("node", "add", "mock", MOCK, "--label", "room=2")}
    shown["node list"] = data("node", "list")
    shown["node list"]["data"]["nodes"].reverse()  # the example has the first
    shown["node show"] = data("node", "show", "mock")
    shown["node devices"] = data("node", "devices", "mock")
    shown["node cordon"] = data("node", "cordon", "mock")
    shown["node uncordon"] = data("node", "uncordon", "mock")
    shown["node remove"] = data("node", "remove", "mock", "--yes")
    shapes = {name: shape(shown[name]["data"]) for name in sorted(shown)}
    golden("json_shapes_nodes.json", json.dumps(shapes, indent=2) + "\n")
    examples = {name: example(shown[name], composition.paths.root) for name in sorted(shown)}
    golden("json_examples_nodes.json", json.dumps(examples, indent=2, ensure_ascii=False) + "\n")
