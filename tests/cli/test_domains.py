"""Where a domain's XML comes from, and what is said when it comes from nowhere."""

from __future__ import annotations

import io
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from vfioctl.actions import domains, libvirt
from vfioctl.actions.define import define
from vfioctl.actions.programs import SetupPrograms
from vfioctl.cli.app import App
from vfioctl.errors import DeadlineExceeded, Refused, VfioctlError
from vfioctl.paths import Paths
from vfioctl.proc import Programs
from vfioctl.testing.domains import UUID, domain

XML = domain("win11")


@pytest.fixture
def app(composition) -> App:
    return App(composition, {})


@pytest.fixture
def program(root):
    """Installs a program on this host."""

    def put(name: str, body: str) -> None:
        path = root / "usr/bin" / name
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)

    return put


def test_a_file_is_read(app, tmp_path) -> None:
    (tmp_path / "x.xml").write_text(XML)
    assert domains.find(app, "win11", str(tmp_path / "x.xml")).domain.uuid == UUID


def test_standard_input_is_read(app, monkeypatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(XML.encode())))
    found = domains.find(app, "win11", "-")
    assert (found.origin, found.xml) == ("standard input", XML.encode())


def test_a_file_that_is_missing_is_one_sentence(app) -> None:
    with pytest.raises(Refused, match="No such file") as raised:
        domains.find(app, "win11", "/nowhere.xml")
    assert raised.value.code == "domain.unreadable"


def test_virsh_is_asked_for_the_definition_and_its_secrets(app, program, root) -> None:
    (root / "xml").write_text(XML)
    program("virsh", f'echo "$@" >{root}/asked\nwhile IFS= read -r line; do echo "$line"; done <{root}/xml')
    assert domains.find(app, "win11", None).origin == "virsh dumpxml"
    asked = (root / "asked").read_text()
    assert asked == "-c qemu:///system dumpxml --inactive --security-info --domain=win11\n"


def test_what_virsh_says_is_passed_on(app, program) -> None:
    program("virsh", "echo \"error: failed to get domain 'win11'\" >&2; exit 1")
    with pytest.raises(Refused, match="failed to get domain 'win11'") as raised:
        domains.find(app, "win11", None)
    assert raised.value.code == "guest.unknown"
    assert raised.value.hints == ("Give its XML with: --xml FILE",)


def test_without_libvirts_programs_its_own_file_is_read(app, root) -> None:
    (root / "etc/libvirt/qemu").mkdir()
    (root / "etc/libvirt/qemu/win11.xml").write_text(XML)
    assert domains.find(app, "win11", None).origin.endswith("/etc/libvirt/qemu/win11.xml")


def test_a_damaged_file_of_libvirt_is_called_damaged(app, root) -> None:
    (root / "etc/libvirt/qemu").mkdir()
    (root / "etc/libvirt/qemu/win11.xml").write_text("<domain>")
    with pytest.raises(Refused) as raised:
        domains.find(app, "win11", None)
    assert raised.value.code == "domain.malformed"


class FakeError(Exception):
    """libvirtError, with the numbers of virterror.h."""

    def __init__(self, code: int, message: str, domain: int = 10) -> None:
        super().__init__(message)
        self.code, self.domain = code, domain

    def get_error_code(self) -> int:
        return self.code

    def get_error_domain(self) -> int:
        return self.domain

    def get_error_message(self) -> str:
        return str(self)


class FakeBinding(ModuleType):
    """libvirt-python with one domain; `defined` collects what was given back."""

    VIR_DOMAIN_XML_INACTIVE, VIR_DOMAIN_XML_SECURE = 2, 1
    VIR_ERR_INTERNAL_ERROR, VIR_ERR_INVALID_ARG, VIR_ERR_SYSTEM_ERROR, VIR_ERR_RPC = 1, 8, 38, 39
    VIR_ERR_NO_DOMAIN, VIR_ERR_CONFIG_UNSUPPORTED, VIR_FROM_RPC = 42, 67, 7
    libvirtError = FakeError  # noqa: N815 -- its name there

    def __init__(self) -> None:
        super().__init__("libvirt")
        self.defined: list[str] = []
        self.flags = 0
        self.closed = 0
        self.lost = ""

    def registerErrorHandler(self, *_: object) -> None:  # noqa: N802
        return

    def open(self, _uri: str) -> Any:
        if self.lost:
            raise FakeError(self.VIR_ERR_SYSTEM_ERROR, self.lost, self.VIR_FROM_RPC)
        return SimpleNamespace(
            lookupByName=self._look, lookupByUUIDString=self._look, defineXML=self._define, listAllDomains=self._list,
            close=self._close, getLibVersion=lambda: 9_000_000,
        )  # fmt: skip

    def _close(self) -> None:
        self.closed += 1

    def _list(self) -> list[Any]:
        return [SimpleNamespace(name=lambda: "win11")]

    def _look(self, name: str) -> Any:
        if name not in ("win11", UUID):
            raise FakeError(self.VIR_ERR_NO_DOMAIN, "Domain not found")
        return SimpleNamespace(
            XMLDesc=self._describe, state=lambda: [5, 0], hasManagedSaveImage=lambda: 0, isPersistent=lambda: 1,
            UUIDString=lambda: UUID, name=lambda: "win11", isActive=lambda: 0,
        )  # fmt: skip

    def _describe(self, flags: int) -> str:
        self.flags = flags
        return self.defined[-1] if self.defined else XML

    def _define(self, xml: str) -> None:
        if "refuse" in xml:
            raise FakeError(self.VIR_ERR_CONFIG_UNSUPPORTED, "unsupported configuration")
        self.defined.append(xml)


@pytest.fixture
def binding(monkeypatch) -> FakeBinding:
    made = FakeBinding()
    monkeypatch.setitem(sys.modules, "libvirt", made)
    return made


@pytest.fixture
def ours(app, monkeypatch) -> App:
    """The same, for the host whose libvirtd answers."""
    monkeypatch.setattr(libvirt, "OURS", app.composition.paths.root)
    return app


def test_the_binding_gives_a_domain_that_can_be_changed_with_nothing_lost(ours, binding) -> None:
    found = domains.find(ours, "win11", None)
    assert (found.editable, found.xml) == (True, XML.encode())
    assert binding.flags == binding.VIR_DOMAIN_XML_INACTIVE | binding.VIR_DOMAIN_XML_SECURE
    define(ours, found, found.xml)
    assert binding.defined == [XML]


def test_every_connection_is_closed(ours, binding) -> None:
    found = domains.find(ours, "win11", None)
    define(ours, found, found.xml)
    assert (binding.closed, domains.guests(ours), binding.closed) == (3, ("win11",), 4)


def test_a_guest_that_libvirt_does_not_know_is_refused_with_the_nearest(ours, binding) -> None:
    with pytest.raises(Refused, match='did you mean "win11"') as raised:
        domains.find(ours, "win1", None)
    assert (raised.value.code, raised.value.hints) == ("guest.unknown", ("The guests of this host: win11",))


@pytest.mark.parametrize(("said", "code"), [("No such file or directory", "down"), ("Permission denied", "denied")])
def test_a_daemon_that_cannot_be_asked_is_refused_in_its_words(ours, binding, said: str, code: str) -> None:
    binding.lost = f"Failed to connect socket to '/run/libvirt/libvirt-sock': {said}"
    with pytest.raises(Refused, match=f"libvirt-sock': {said}") as raised:
        domains.find(ours, "win11", None)
    assert (raised.value.code, raised.value.state) == (f"libvirt.{code}", "Nothing was changed.")


def test_what_libvirt_says_is_passed_on(ours, binding) -> None:
    with pytest.raises(VfioctlError, match="unsupported configuration"):
        define(ours, domains.find(ours, "win11", None), b"<refuse/>")


def test_the_daemon_of_this_host_is_not_asked_about_another_root(app, binding) -> None:
    with pytest.raises(Refused) as raised:
        domains.find(app, "win11", None)
    assert raised.value.code == "guest.unknown"


def test_enable_changes_the_domain_through_the_binding_and_disable_restores_it(run, ours, binding, monkeypatch) -> None:
    device = '<hostdev mode="subsystem" type="pci" managed="{}"><source><address bus="0x01"/></source></hostdev>'
    before = domain("win11", devices=device.format("yes"))
    monkeypatch.setattr(sys.modules[__name__], "XML", before)
    place = ours.composition.paths.pci("0000:01:00.0")
    import os

    os.makedirs(place)
    for name, value in (("class", "0x020000"), ("vendor", "0x8086"), ("device", "0x1521")):
        with open(os.path.join(place, name), "w") as file:
            file.write(f"{value}\n")
    done = run("enable", "win11", "--format", "json").envelope
    assert done["data"]["applied"] is True, done["errors"]
    assert binding.defined == [domain("win11", devices=device.format("no"))]
    assert run("disable", "win11", "--format", "json").envelope["data"]["applied"] is True
    assert binding.defined[1] == before


# ---------------------------------------------------------------- programs


def setup_programs(root) -> SetupPrograms:
    return SetupPrograms(Programs(Paths(str(root)).programs))


def test_the_whole_stderr_of_a_program_is_kept(program, root) -> None:
    program("noisy", "i=0; while [ $i -lt 400 ]; do echo line$i >&2; i=$((i+1)); done; exit 3")
    with pytest.raises(VfioctlError, match=r"ended with status 3: line0 .* line399") as raised:
        setup_programs(root).run("noisy")
    assert raised.value.code == "program.failed"


def test_a_program_gets_no_terminal_and_a_fixed_environment(program, root, monkeypatch) -> None:
    monkeypatch.setenv("LIBVIRT_DEFAULT_URI", "qemu:///session")
    program("tell", 'test -t 1 && echo tty; echo "${LIBVIRT_DEFAULT_URI-none} $LC_ALL"')
    assert setup_programs(root).run("tell") == b"none C.UTF-8\n"


def test_a_program_that_hangs_is_ended(program, root) -> None:
    program("hang", "while :; do :; done")
    with pytest.raises(DeadlineExceeded):
        setup_programs(root).run("hang", deadline=0.2)


def test_a_program_that_is_missing_is_named(root) -> None:
    with pytest.raises(VfioctlError, match="The program virsh is not installed"):
        setup_programs(root).run("virsh")
