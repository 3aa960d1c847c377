"""SSH keys of this host: made by a real ssh-keygen, kept with their modes, told from what is none."""

from __future__ import annotations

import base64
import os
import shutil
import stat
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from vfioctl_guest.accounts import authorized
from vfioctl_guest.commands import key_pairs
from vfioctl_guest.key_views import listed, shown
from vfioctl_guest.seed.keys import public_keys
from vfioctl_guest.ssh_keys.openssh import bits, private_key
from vfioctl_guest.ssh_keys.places import PLACE, check_name, key_names, names
from vfioctl_guest.ssh_keys.store import named

from vfioctl.paths import Paths
from vfioctl.plugin import Refused, Result, VfioctlError, new_key_pair
from vfioctl.proc import Programs

PROGRAMS = Programs("/usr/bin:/bin")
SECRET = "open sesame"
needs_keygen = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="ssh-keygen is not installed")


class Host:
    """A host below a directory, whose operations write at once what their steps name."""

    def __init__(self, root: Path) -> None:
        self.root, self.paths, self.requests = root, Paths(str(root)), []  # type: ignore[var-annotated]
        self.administers = True

    def host(self) -> Any:
        return SimpleNamespace(programs=PROGRAMS, ask=lambda _path, work: work())

    def need_root(self) -> None: ...

    def agree(self, *codes: str) -> None: ...

    def perform(self, request: Any, *, dry_run: bool) -> Result:
        self.requests.append(request)
        for step in request.proposals if not dry_run else ():
            path = self.root / step.params["path"].lstrip("/")
            if step.kind == "file.delete":
                path.unlink()
            else:
                path.write_bytes(request.contents[step.params["blob"]])
                path.chmod(int(step.params["mode"], 8))
        operation = {"operation": request.operation, "ok": True}
        return Result(data={"operation": operation, "steps": [], "dry_run": dry_run})


@pytest.fixture
def host(tmp_path: Path) -> Any:
    return Host(tmp_path)


def run(host: Any, verb: Any, *argv: str) -> dict[str, Any]:
    """The data of `vfioctl ssh-key VERB ARGV`."""
    with verb.make_context("ssh-key", list(argv), obj=host) as context:
        result: Result = verb.invoke(context)
    return dict(result.data)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def opens(file: Path, passphrase: str) -> bool:
    """Whether ssh-keygen can read the private key with that passphrase."""
    argv = ["ssh-keygen", "-y", "-P", passphrase, "-f", str(file)]
    return subprocess.run(argv, capture_output=True, check=False).returncode == 0


@needs_keygen
def test_a_key_is_ed25519_and_its_private_half_is_for_root_alone(host: Any) -> None:
    key = run(host, key_pairs.create, "ada")["key"]
    private = host.root / PLACE.lstrip("/") / "ada"
    assert (key["type"], key["bits"], key["comment"], key["encrypted"]) == ("ssh-ed25519", 256, "ada", False)
    assert (mode(private), mode(private.with_suffix(".pub")), mode(private.parent)) == (0o600, 0o644, 0o755)
    said = subprocess.run(["ssh-keygen", "-l", "-f", private], capture_output=True, text=True, check=True).stdout
    assert key["fingerprint"] in said
    assert opens(private, "")


@needs_keygen
def test_an_rsa_key_has_its_size(host: Any) -> None:
    key = run(host, key_pairs.create, "old", "--type", "rsa", "--bits", "2048", "--comment", "a@b")["key"]
    assert (key["type"], key["bits"], key["comment"]) == ("ssh-rsa", 2048, "a@b")


@needs_keygen
def test_a_passphrase_is_on_the_key_and_in_no_command_line_and_no_plan(
    host: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    ran: list[str] = []
    before = Programs.run
    monkeypatch.setattr(Programs, "run", lambda self, argv, **more: ran.extend(argv) or before(self, argv, **more))
    key = run(host, key_pairs.create, "ada", "--passphrase-file", str(tmp_path / "secret"))["key"]
    private = host.root / PLACE.lstrip("/") / "ada"
    assert key["encrypted"] is True
    assert (opens(private, SECRET), opens(private, "")) == (True, False)
    assert "ssh-keygen" in ran
    assert not any(SECRET in word for word in ran)
    (request,) = host.requests
    assert SECRET not in repr([step.params for step in request.proposals])
    assert not [left for left in Path("/tmp").glob("vfioctl-key-*") if left.stat().st_uid == os.getuid()]


@needs_keygen
def test_what_ssh_keygen_refuses_is_said_in_its_words() -> None:
    with pytest.raises(VfioctlError) as caught:
        new_key_pair(PROGRAMS, "nonsense")
    assert caught.value.code == "ssh_key.failed"
    assert "nonsense" in caught.value.message


def test_a_host_without_ssh_keygen_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(VfioctlError) as caught:
        new_key_pair(Programs(str(tmp_path)), "ed25519")
    assert "openssh-client" in caught.value.hints[0]


@needs_keygen
def test_a_private_key_is_imported_with_its_public_half_and_keeps_its_passphrase(host: Any, tmp_path: Path) -> None:
    file = tmp_path / "mine"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", SECRET, "-f", file], check=True)
    key = run(host, key_pairs.import_, "ada", "--file", str(file))["key"]
    assert key["public"].split()[:2] == file.with_suffix(".pub").read_text().split()[:2]
    assert key["encrypted"] is True
    assert (host.root / PLACE.lstrip("/") / "ada").read_bytes() == file.read_bytes()
    assert file.exists()


@needs_keygen
def test_a_public_key_alone_is_kept_too_and_goes_into_guests_by_its_name(host: Any, tmp_path: Path) -> None:
    file = tmp_path / "mine"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "me", "-f", file], check=True)
    key = run(host, key_pairs.import_, "ada", "--file", f"{file}.pub")["key"]
    assert (key["private"], key["encrypted"], key["comment"]) == (False, None, "me")
    assert list(public_keys(host, "ada")) == [key["public"]]
    assert list(public_keys(host, f"{file}.pub")) == [key["public"]]
    (table,) = listed(run(host, key_pairs.listed))
    assert table.rows == (("ada", "ssh-ed25519", key["fingerprint"], "no"),)
    assert key["public"] in list(shown(run(host, key_pairs.show, "ada")))


@pytest.mark.parametrize("text", ["", "hello", "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----",
                                  "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----",
                                  "-----BEGIN OPENSSH PRIVATE KEY-----\n???\n-----END OPENSSH PRIVATE KEY-----"])
def test_what_is_no_key_is_not_kept(host: Any, tmp_path: Path, text: str) -> None:
    (tmp_path / "file").write_text(text)
    with pytest.raises(Refused) as caught:
        run(host, key_pairs.import_, "ada", "--file", str(tmp_path / "file"))
    assert caught.value.code == "ssh_key.file"
    assert names(host) == []


def test_a_private_key_that_is_cut_off_anywhere_is_none() -> None:
    parts = (b"none", b"none", b"", b"")
    whole = b"openssh-key-v1\0" + b"".join(len(one).to_bytes(4, "big") + one for one in parts[:3]) + bytes(4)
    blob = len(b"ssh-ed25519").to_bytes(4, "big") + b"ssh-ed25519"
    whole += len(blob).to_bytes(4, "big") + blob

    def armoured(data: bytes) -> str:
        body = base64.b64encode(data).decode()
        return f"-----BEGIN OPENSSH PRIVATE KEY-----\n{body}\n-----END OPENSSH PRIVATE KEY-----\n"

    assert private_key(armoured(whole)) is not None
    assert [end for end in range(len(whole)) if private_key(armoured(whole[:end]))] == []


def test_the_size_of_a_key_on_a_curve_is_in_its_name() -> None:
    kind = b"ecdsa-sha2-nistp384"
    assert bits(base64.b64encode(len(kind).to_bytes(4, "big") + kind).decode()) == 384


@pytest.mark.parametrize("name", ["", "a/b", "../x", "a.pub", "-x", "x" * 61, "a b"])
def test_a_name_that_is_none_of_a_file_is_refused(name: str) -> None:
    with pytest.raises(Refused) as caught:
        check_name(name)
    assert caught.value.code == "ssh_key.bad_name"


@needs_keygen
def test_a_key_that_is_there_stays_and_goes_only_by_delete(host: Any) -> None:
    run(host, key_pairs.create, "ada")
    with pytest.raises(Refused) as caught:
        run(host, key_pairs.create, "ada")
    assert caught.value.code == "ssh_key.exists"
    context: Any = SimpleNamespace(find_root=lambda: SimpleNamespace(obj=host))
    assert key_names(context, None, "a") == ["ada"]  # type: ignore[arg-type]
    run(host, key_pairs.delete, "ada", "--yes")
    assert names(host) == []
    with pytest.raises(Refused) as caught:
        run(host, key_pairs.show, "ada")
    assert caught.value.code == "ssh_key.unknown"


def test_a_public_half_that_somebody_has_spoilt_is_listed_and_can_be_deleted(host: Any) -> None:
    place = host.root / PLACE.lstrip("/")
    place.mkdir(parents=True)
    (place / "ada.pub").write_text("spoilt\n")
    assert named(host, "ada").row["fingerprint"] == ""
    run(host, key_pairs.delete, "ada", "--yes")
    assert names(host) == []


@needs_keygen
def test_a_dry_run_keeps_nothing(host: Any) -> None:
    run(host, key_pairs.create, "ada", "--dry-run")
    assert names(host) == []


@needs_keygen
def test_only_one_type_has_sizes(host: Any) -> None:
    with pytest.raises(Refused) as caught:
        run(host, key_pairs.create, "ada", "--bits", "4096")
    assert caught.value.code == "ssh_key.file"
    assert authorized("nothing").fingerprint == ""
