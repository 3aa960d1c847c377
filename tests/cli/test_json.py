"""The JSON of every command: the envelope's keys, and the shape of the data on a host with a card. Both are public."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from json_example import example
from json_shape import shape

from vfioctl.cli.app import main
from vfioctl.result import Error, Message, Result
from vfioctl.testing.domains import UUID, domain
from vfioctl.testing.libvirt import FakeLibvirt
from vfioctl.txn.journal import open_uuids
from vfioctl.verbs.table import ROWS
from vfioctl.wait import until

GPU, SOUND = "0000:01:00.0", "0000:01:00.1"
# demo and those of nodes have their own tests; rescue would undo what the other commands look at
NOT_HERE = ("demo", "rescue", *(row.name for row in ROWS if row.name.startswith("node ")))


def test_the_envelope_has_these_keys_and_no_others() -> None:
    result = Result("x", {"a": 1}, (Message("m"),), (Error("c", "m"),), 1)
    assert result.envelope() == {
        "version": 1,
        "command": "x",
        "data": {"a": 1},
        "messages": [{"level": "info", "text": "m", "code": "", "hint": ""}],
        "errors": [{"code": "c", "message": "m", "state": "", "hints": []}],
    }


@pytest.fixture
def daemon(fake_host) -> FakeLibvirt:
    """A desktop with one card; its guest has run once, so that there is a history."""
    daemon = FakeLibvirt(fake_host)
    daemon.install()
    daemon.manage("win11", 'session = "end"\n')
    return daemon


def edited(call: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setenv("VISUAL", "true")
    return call("config", "edit", "--guest", "win11")


def test_the_data_of_every_command_keeps_its_shape(daemon, tmp_path, capfd, golden, monkeypatch) -> None:
    xml = tmp_path / "win11.xml"
    xml.write_text(domain("win11", hostdevs=(GPU, SOUND), managed=True))

    def call(*argv: str) -> dict[str, Any]:
        capfd.readouterr()
        status = main(daemon.composition, [*argv, "--format", "json"], {})
        envelope = json.loads(capfd.readouterr().out)
        assert bool(envelope["errors"]) is bool(status)
        return envelope

    shown = {
        "gpu list": call("gpu", "list"),
        "gpu holders": call("gpu", "holders"),
        "enable": call("enable", "win11", "--xml", str(xml), "--dry-run"),
        "plan": call("plan", "win11", "--xml", str(xml)),
        "config show": call("config", "show", "win11"),
        "config get": call("config", "get", "win11", "session"),
        "config set": call("config", "set", "session", "end", "--guest", "win11"),
        "config add": call("config", "add", "units", "ollama.service", "--guest", "win11"),
        "config unset": call("config", "unset", "units", "--guest", "win11"),
        "config edit": edited(call, monkeypatch),
        "config validate": call("config", "validate"),
        "plugins list": call("plugins", "list"),
        "plugins refresh": call("plugins", "refresh"),
        "hook install": call("hook", "install"),
        "doctor": call("doctor"),
        "hook verify": call("hook", "verify"),
        "verb list": call("verb", "list"),
        "completion": call("completion", "bash"),
    }
    assert daemon.start("win11", UUID, xml.read_bytes(), addresses=(GPU, SOUND)).status == 0
    shown["status"] = call("status")
    shown["list"] = call("list")
    shown["recover"] = call("recover")
    shown["operation list"] = call("operation", "list")
    shown["operation show"] = call("operation", "show", "win11")
    shown["operation follow"] = call("operation", "follow", "win11")
    shown["operation cancel"] = call("operation", "cancel", "win11")
    shown["history"] = call("history")
    daemon.stop("win11", xml.read_bytes())
    assert until(lambda: not open_uuids(daemon.composition.paths), 30)
    shown["disable"] = call("disable", "win11", "--xml", str(xml))
    shown["hook uninstall"] = call("hook", "uninstall")
    assert sorted({*shown, *NOT_HERE}) == sorted(row.name for row in ROWS if not row.hidden)
    assert all(shown[name]["command"] == name for name in shown)
    shapes = {name: shape(shown[name]["data"]) for name in sorted(shown)}
    golden("json_shapes.json", json.dumps(shapes, indent=2) + "\n")
    examples = {name: example(shown[name], daemon.host.root) for name in sorted(shown)}
    golden("json_examples.json", json.dumps(examples, indent=2, ensure_ascii=False) + "\n")
