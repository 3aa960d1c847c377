"""What rests on the agent of a guest, most of all a standstill: by qemu-ga in a real Linux, on a real libvirtd."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import agent_guest
import pytest
import snapshot_lab
from agent_guest import SUBNET, Web

from vfioctl.wait import until

pytest.importorskip("libvirt")
for plugin in ("guest", "network", "snapshot", "storage"):
    pytest.importorskip(f"vfioctl_{plugin}")

pytestmark = pytest.mark.timeout(300)
MAKING_IMAGES = 4  # boundaries of `create`: before and after the new image of each of two disks


@pytest.fixture(scope="module")
def host(network_lab: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A host with the guest "web", which is off: it has an agent, and an ext4 on its second disk."""
    return agent_guest.prepared(network_lab, tmp_path_factory.mktemp("agent"))


@pytest.fixture(scope="module")
def same(host: Any) -> Iterator[Web]:
    made = Web(host)
    yield made
    made.close()


@pytest.fixture
def web(same: Web) -> Web:
    same.start()
    return same


def test_a_program_in_the_guest_ends_with_its_status_and_what_it_said(web: Web) -> None:
    program = ("sh", "-c", "echo one two; echo three >&2; exit 7")
    shown = web.host.said("guest", "exec", "web", "--format", "json", "--", *program, status=7)
    ended = json.loads(shown)["data"]
    assert (ended["status"], ended["stdout"], ended["stderr"]) == (7, "one two\n", "three\n")


def test_a_program_that_does_not_end_in_time_is_named_and_runs_on(web: Web) -> None:
    shown = web.host.said("guest", "exec", "web", "--timeout", "1", "--", "sleep", "300", status=1)
    assert "sleep has not ended in the guest within 1 s. [guest.exec_deadline]" in shown
    found = re.search(r"runs on there as process (\d+)", shown)
    assert found is not None
    assert web.line.ask(f"cat /proc/{found[1]}/comm") == "sleep"


def test_its_agent_says_its_address(web: Web) -> None:
    (found,) = json.loads(web.host.said("guest", "address", "web", "--format", "json"))["data"]["addresses"]
    assert found["address"].startswith(f"{SUBNET}.")
    assert found["source"] == "agent"


@pytest.mark.parametrize(("option", "said", "how"), [
    ("--password-file", "open sesame", ""), ("--password-hash-file", "$6$salt$" + "a" * 86, "-e"),
])  # fmt: skip
def test_a_password_reaches_the_guest_and_is_kept_nowhere_here(web: Web, option: str, said: str, how: str) -> None:
    given = web.host.place / "secret"
    given.write_text(f"{said}\n")
    shown = web.host.said("guest", "passwd", "web", "--user", "root", option, str(given))
    assert "User root of guest web has the new password." in shown
    assert web.line.ask("sed -n 1p /run/chpasswd") == how
    assert web.line.ask("sed -n 2p /run/chpasswd") == f"root:{said}"
    assert web.host.run("grep", "-rlF", said, "/var/lib/vfioctl", "/run/vfioctl").stdout == ""


def test_what_the_guest_refuses_for_a_password_is_said_without_it(web: Web) -> None:
    given = web.host.place / "secret"
    given.write_text("open sesame\n")
    shown = web.host.said("guest", "passwd", "web", "--user", "nobody", "--password-file", str(given), status=1)
    assert "failed at the password of nobody" in shown
    assert "sesame" not in shown


def test_keys_are_added_listed_and_removed_beside_those_that_stay(web: Web) -> None:
    def ssh_key(verb: str, *more: str) -> Any:
        shown = web.host.said("guest", "ssh-key", verb, "web", "--user", "root", *more, "--format", "json")
        return sorted((key["options"], key["comment"]) for key in json.loads(shown)["data"]["keys"])

    ours = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    other = ours.replace("IAAAA", "IBAAA")
    given = web.host.place / "ada.pub"
    given.write_text(f"{ours} ada@laptop\n")
    web.line.ask(f"mkdir -p /root/.ssh; echo '# mine' >/root/.ssh/authorized_keys; echo no-pty {other} bob "
                 ">>/root/.ssh/authorized_keys; echo written")  # fmt: skip
    assert ssh_key("add", "--key", str(given)) == [("", "ada@laptop")]
    assert ssh_key("add", "--key", str(given)) == []
    assert ssh_key("list") == [("", "ada@laptop"), ("no-pty", "bob")]
    given.write_text(f"{ours}\n")
    assert ssh_key("remove", "--key", str(given)) == [("", "ada@laptop")]
    assert web.line.ask("grep -c . /root/.ssh/authorized_keys") == "2"
    assert ssh_key("list") == [("no-pty", "bob")]
    said = web.host.said("guest", "ssh-key", "list", "web", "--user", "nobody", status=1)
    assert "failed at the SSH keys of nobody" in said


def test_a_user_without_a_file_of_keys_has_none_and_gets_the_first(web: Web) -> None:
    given = web.host.place / "eve.pub"
    given.write_text("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA eve\n")
    asked = ("web", "--user", "eve", "--format", "json")
    web.line.ask("echo 'eve:x:1001:1001::/home/eve:/bin/sh' >>/etc/passwd; mkdir -p /home/eve; echo made")
    assert json.loads(web.host.said("guest", "ssh-key", "list", *asked))["data"]["keys"] == []
    web.host.said("guest", "ssh-key", "add", *asked, "--key", str(given))
    assert web.line.ask("grep -c eve$ /home/eve/.ssh/authorized_keys") == "1"


def test_a_snapshot_that_fails_while_it_stands_still_lets_it_go_on(web: Web) -> None:
    images, present = web.host.files(), disk(web.host)
    with web.host.standing_still(MAKING_IMAGES, "snapshot", "create", "web", "bad", "--quiesce") as process:
        (new,) = (path for path in web.host.files() - images if path.startswith(present.partition(".")[0]))
        web.host.must("rm", new)
    assert process.returncode == 1
    web.stood_still()
    assert "bad" not in web.host.names("web")
    assert (web.host.files(), disk(web.host)) == (images, present)
    assert web.host.left_open() == []


def test_one_that_comes_to_it_too_late_goes_on_at_once(web: Web) -> None:
    """Its agent takes longer than it is waited for, and stands still when the snapshot has failed."""
    images = web.host.files()
    web.line.ask("echo 12 >/slow; echo slow")
    shown = web.host.said("snapshot", "create", "web", "late", "--quiesce", status=1)
    assert "[guest.not_frozen]\n  Everything was put back." in shown
    web.stood_still()
    assert web.line.ask("rm /slow; echo fast") == "fast"
    assert (web.host.files(), web.host.left_open()) == (images, [])


def test_one_that_was_killed_while_it_stands_still_goes_on_with_recover(web: Web) -> None:
    """Its agent takes its time, so that it stands still after the end of who has asked for it."""
    images = web.host.files()
    web.line.ask("echo 3 >/slow; echo slow")
    with web.host.started("snapshot", "create", "web", "killed", "--quiesce") as process:
        web.line.wait("freeze")
        process.kill()
    assert until(lambda: web.standstill() == "frozen", snapshot_lab.DEADLINE)
    web.host.recover()
    web.line.wait("thaw")
    assert web.standstill() == "thawed"
    assert "killed" not in web.host.names("web")
    assert web.host.files() == images
    assert web.line.ask("rm /slow; echo fast") == "fast"


def test_a_stop_asks_its_agent_once_and_it_is_off(web: Web) -> None:
    shown = web.host.said("guest", "stop", "web")
    assert "guest.stop: 1 request to its agent" in shown
    assert web.content("asked", of=disk(web.host)).startswith("shutdown -h -P ")


def test_what_was_not_yet_on_its_disk_is_in_a_snapshot_at_a_standstill_and_comes_back(web: Web) -> None:
    at_good = disk(web.host)
    web.line.ask("echo first >/data/before; echo written")
    web.host.done("create", "web", "good", "--quiesce")
    web.stood_still()
    web.line.ask("echo second >/data/before; echo third >/data/after; sync; echo written")
    at_plain = disk(web.host)
    web.host.done("create", "web", "plain")
    assert web.host.names("web")[-2:] == ["good", "plain"]
    web.host.said("guest", "stop", "web")
    assert web.is_clean(of=at_good)
    assert not web.is_clean(of=at_plain)
    assert web.content("before", of=disk(web.host)) == "second\n"
    web.host.done("revert", "web", "good", "--yes")
    assert web.content("before", of=disk(web.host)) == "first\n"
    assert "/after/" not in web.files(of=disk(web.host))


def disk(host: Any) -> str:
    """The image of the second disk of the guest."""
    found = re.search(r"^ *vdb +(\S+)", host.lab.virsh("domblklist", "web").stdout, re.MULTILINE)
    assert found is not None
    return found[1]
