"""`vfioctl demo` at ^C: it ends, whichever of its commands heard it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from vfioctl.actions.errors import Interrupted
from vfioctl.cli import demo
from vfioctl.cli.app import App
from vfioctl.compose import compose
from vfioctl.result import failed


def test_an_interrupt_in_a_command_that_is_shown_ends_the_demo(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setattr(demo, "answer", lambda _app, _argv: failed("plan", Interrupted()))
    app = App(compose(str(tmp_path)), {})
    monkeypatch.setattr(demo, "FakeLibvirt", lambda host: SimpleNamespace(composition=compose(host.root)))
    stage = demo.Stage(app, SimpleNamespace(root=str(tmp_path), paths=app.paths))  # type: ignore[arg-type]
    with pytest.raises(Interrupted):
        stage.command("plan", "win11")


def test_a_host_whose_start_is_interrupted_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[str] = []

    def start(_host: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(demo.FakeHost, "start", start)
    monkeypatch.setattr(demo.FakeHost, "stop", lambda _host: heard.append("stop"))
    with pytest.raises(KeyboardInterrupt), demo._host("nvidia"):
        pass
    assert heard == ["stop"]
