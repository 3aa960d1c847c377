"""Files into a real Linux and out of it, by a real agent and over a real ssh, on a real libvirtd."""

from __future__ import annotations

import hashlib
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import agent_guest
import pytest
from agent_guest import Web

from vfioctl.wait import until

pytest.importorskip("libvirt")
for plugin in ("guest", "network", "snapshot", "storage"):
    pytest.importorskip(f"vfioctl_{plugin}")

pytestmark = pytest.mark.timeout(300)
DEADLINE = 60.0
CONTENT = os.urandom((300 << 10) + 7)
SUM = hashlib.sha256(CONTENT).hexdigest()
SSH_CONFIG = "Host *\n  UserKnownHostsFile {place}/known\n  StrictHostKeyChecking {check}\n"


@pytest.fixture(scope="module")
def web(network_lab: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """The guest, which runs; its user ada may log in with the key `id`."""
    made = Web(agent_guest.prepared(network_lab, tmp_path_factory.mktemp("copy")))
    made.start()
    place = made.host.place
    made.host.must("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(place / "id"))
    key = (place / "id.pub").read_text().strip()
    made.line.ask(
        "echo 'ada:x:1000:1000::/home/ada:/bin/sh' >>/etc/passwd; echo 'ada:*:19000:0:99999:7:::' >>/etc/shadow; "
        f"mkdir -p /home/ada/.ssh; echo '{key}' >/home/ada/.ssh/authorized_keys; "
        "chown -R 1000:1000 /home/ada; chmod -R go= /home/ada; chmod 1777 /tmp; echo made"
    )
    yield made
    made.close()


@pytest.fixture
def file(web: Web) -> Path:
    """A file of the host."""
    made: Path = web.host.place / "file"
    made.write_bytes(CONTENT)
    made.chmod(0o640)
    return made


def copy(web: Web, *argv: str, status: int = 0) -> str:
    return str(web.host.said("guest", "copy", *argv, status=status))


def left(web: Web, place: str) -> str:
    """What a copy has left in a directory of the guest."""
    return web.line.ask(f"cd {place}; set -- .vfioctl-*; [ -e $1 ] && echo $1 || echo none")


def ssh_trusts(web: Web, check: str) -> None:
    said = SSH_CONFIG.format(place=web.host.place, check=check)
    web.host.must("sh", "-c", f"printf '{said}' > /etc/ssh/ssh_config.d/test.conf")


@pytest.mark.parametrize("by", ["agent", "ssh"])
def test_a_file_goes_in_and_comes_back_with_bytes_and_mode(web: Web, file: Path, by: str) -> None:
    ssh_trusts(web, "accept-new")
    how = ("--by", by) if by == "agent" else ("--user", "ada", "--identity", str(web.host.place / "id"))
    web.line.ask("rm -f /tmp/file; echo gone")  # what root has made in /tmp is not ada's to replace
    shown = copy(web, str(file), "web:/tmp/", *how, "--format", "json")
    data = json.loads(shown)["data"]
    assert (data["by"], data["path"], data["bytes"], data["mode"]) == (by, "/tmp/file", len(CONTENT), "0640")
    assert (data["sha256"], data["compared"]) == (SUM, True)
    assert web.line.ask("sha256sum </tmp/file").split()[0] == SUM
    assert web.line.ask("stat -c '%a %u' /tmp/file") == ("640 0" if by == "agent" else "640 1000")
    back = web.host.place / f"back-{by}"
    assert SUM in copy(web, "web:/tmp/file", str(back), *how)
    assert back.read_bytes() == CONTENT
    assert back.stat().st_mode & 0o777 == 0o640
    assert left(web, "/tmp") == "none"


def test_it_goes_over_ssh_by_itself_and_a_host_that_is_not_known_asks_nobody(web: Web, file: Path) -> None:
    ssh_trusts(web, "ask")
    web.host.must("rm", "-f", str(web.host.place / "known"))
    said = copy(web, str(file), "web:/tmp/new", status=1)
    assert "[guest.copy_failed]" in said
    assert "Host key verification failed" in said
    assert "--by agent" in said


def test_what_is_there_stays_and_a_directory_and_a_missing_one_are_named(web: Web, file: Path) -> None:
    web.line.ask("mkdir -p /tmp/kept/file; echo old >/tmp/old; echo made")
    by = ("--by", "agent")
    assert "[guest.copy_exists]" in copy(web, str(file), "web:/tmp/old", *by, status=3)
    assert web.line.ask("cat /tmp/old") == "old"
    assert "is no plain file" in copy(web, str(file), "web:/tmp/kept", *by, status=3)
    assert "no directory /none" in copy(web, str(file), "web:/none/file", *by, status=3)
    assert "There is no /none" in copy(web, "web:/none", str(web.host.place / "none"), *by, status=3)
    assert "is no plain file" in copy(web, "web:/tmp", str(web.host.place / "none"), *by, status=3)
    assert not (web.host.place / "none").exists()


@pytest.mark.parametrize("by", ["agent", "ssh"])
def test_a_dry_run_asks_the_guest_and_makes_nothing(web: Web, file: Path, by: str) -> None:
    ssh_trusts(web, "accept-new")
    how = ("--by", by) if by == "agent" else ("--user", "ada", "--identity", str(web.host.place / "id"))
    web.line.ask("rm -rf /tmp/dry; mkdir -m 777 /tmp/dry; echo there >/tmp/dry/old; echo made")
    said = copy(web, str(file), "web:/tmp/dry/", *how, "--dry-run")
    assert f"would be copied to web:/tmp/dry/file by {by}" in said
    assert "[guest.copy_exists]" in copy(web, str(file), "web:/tmp/dry/old", *how, "--dry-run", status=3)
    back = web.host.place / "never"
    assert f"would be copied to {back}" in copy(web, "web:/tmp/dry/old", str(back), *how, "--dry-run")
    assert web.line.ask("ls -A /tmp/dry") == "old"
    assert not back.exists()


def test_a_disk_that_is_full_gets_no_file_whether_it_is_so_before_or_becomes_so(web: Web, file: Path) -> None:
    web.line.ask("mkdir /full; mount -t tmpfs -o size=6m tmpfs /full; echo mounted")
    file.write_bytes(CONTENT * 24)
    assert "[guest.copy_room]" in copy(web, str(file), "web:/full/", "--by", "agent", status=3)
    file.write_bytes(CONTENT * 16)
    said = web.host.place / "said"
    with said.open("w") as out:
        process = web.host.started("guest", "copy", str(file), "web:/full/", "--by", "agent", out=out.fileno())
        assert until(lambda: left(web, "/full") != "none", DEADLINE)
        web.line.ask("dd if=/dev/zero of=/full/other bs=1024 count=5000 2>/dev/null; echo filled")
        assert process.wait(DEADLINE) == 1
    assert "No space left on device" in said.read_text()
    assert "Nothing of it is left in the guest." in said.read_text()
    assert left(web, "/full") == "none"
    assert web.line.ask("umount /full && echo away") == "away"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_one_that_is_interrupted_gives_nothing_its_name(web: Web, file: Path, number: signal.Signals) -> None:
    """What a killed one has begun is in a directory of its own, which nobody but root enters, and has its guard."""
    file.write_bytes(CONTENT * 30)
    process = web.host.started("guest", "copy", str(file), "web:/tmp/cut", "--by", "agent")
    assert until(lambda: left(web, "/tmp") != "none", DEADLINE)
    process.send_signal(number)
    assert process.wait(DEADLINE) == (130 if number == signal.SIGINT else -number)
    begun = left(web, "/tmp")
    assert web.line.ask("[ -e /tmp/cut ] && echo named || echo none") == "none"
    if number == signal.SIGINT:
        assert begun == "none"
    else:
        assert web.line.ask("tr '\\0' ' ' </proc/$(pidof sleep | cut -d' ' -f1)/cmdline").split() == ["sleep", "60"]
        assert web.line.ask(f"stat -c %a /tmp/{begun}; rm -r /tmp/{begun}") == "700"


def test_a_file_that_grows_in_the_guest_while_it_is_read_does_not_come(web: Web) -> None:
    web.line.ask("dd if=/dev/zero of=/tmp/log bs=1024 count=600 2>/dev/null; echo made")
    web.line.ask("echo >/tmp/grow; (while [ -e /tmp/grow ]; do echo more >>/tmp/log; sleep 0.2; done) "
                 ">/dev/null 2>&1 & echo grows")  # fmt: skip
    back = web.host.place / "log"
    try:
        assert "[guest.copy_changed]" in copy(web, "web:/tmp/log", str(back), "--by", "agent", status=3)
    finally:
        web.line.ask("rm /tmp/grow; echo ends")
    assert not back.exists()


def test_a_guest_without_an_agent_or_that_is_off_is_named(web: Web, file: Path) -> None:
    assert web.line.ask("kill $(pidof qemu-ga) && echo ended") == "ended"
    assert until(lambda: web.standstill() == "", DEADLINE)
    assert "[guest.no_agent]" in copy(web, str(file), "web:/tmp/new", "--by", "agent", status=3)
    web.close()
    assert "[guest.off]" in copy(web, str(file), "web:/tmp/new", status=3)
