"""What podman 4.3 printed (tests/data/podman), as our reader takes it and as the simulated one says it."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from pathlib import Path

import pytest

from vfioctl.errors import VfioctlError
from vfioctl.host.container_tools import FORMAT, Seen, Which, command, look, which
from vfioctl.host.host import Host
from vfioctl.testing.model import FakeContainer, FakeUnit, MachineSpec

PLACE = Path(__file__).parents[1] / "data" / "podman"
RECORDED = sorted(path.stem for path in PLACE.glob("*.txt"))
JELLY = Which("podman", "jelly")


@dataclass(frozen=True)
class Recording:
    """One command of podman as it ran: its words, exit status and output."""

    words: tuple[str, ...]
    status: int
    out: str
    err: str

    @property
    def identifier(self) -> str:
        return self.out.split(" ")[0]


def recording(name: str) -> Recording:
    head, _, rest = (PLACE / f"{name}.txt").read_text().partition("--- stdout\n")
    out, _, err = rest.partition("--- stderr\n")
    fields = dict(line.removeprefix("# ").split(": ", 1) for line in head.splitlines())
    _, *words = fields["command"].split(" ")
    return Recording(tuple(words), int(fields["status"]), out, err)


def said_by(tree, name: str) -> Seen | None:
    """What our reader makes of a recording, played by a program of its name."""
    told = recording(name)
    out, err = shlex.quote(told.out), shlex.quote(told.err)
    tree.program("podman", f"printf %s {out}; printf %s {err} >&2; exit {told.status}")
    return look(tree.host(), JELLY)


def test_the_recordings_are_of_the_commands_that_we_send(tree) -> None:
    words = " ".join(command(JELLY, tree.paths, "container", "inspect", "--format", FORMAT, "--", "jelly")[1:])
    assert " ".join(recording("inspect-running").words) == words


def test_a_running_container_is_read_with_its_id(tree) -> None:
    assert said_by(tree, "inspect-running") == Seen(recording("inspect-running").identifier, runs=True)


def test_a_stopped_container_keeps_its_id_and_has_it_when_it_runs_again(tree) -> None:
    stopped, again = said_by(tree, "inspect-stopped"), said_by(tree, "inspect-started-again")
    assert stopped == Seen(recording("inspect-running").identifier, runs=False)
    assert again == Seen(stopped.id, runs=True)


def test_the_unit_that_made_a_container_is_read_from_its_label(tree) -> None:
    seen = said_by(tree, "inspect-of-a-unit")
    assert (seen.runs, seen.auto_remove, seen.unit) == (True, True, "unitmade.service")


def test_a_container_that_is_not_there_is_none(tree) -> None:
    assert said_by(tree, "inspect-missing") is None


def test_a_tool_that_fails_otherwise_is_an_error_with_its_words(tree) -> None:
    tree.program("podman", "echo 'Error: cannot open the store' >&2; exit 125")
    with pytest.raises(VfioctlError, match="cannot open the store") as raised:
        look(tree.host(), JELLY)
    assert raised.value.code == "container.unreadable"


def test_a_docker_that_does_not_run_is_not_started_by_the_question(start_host) -> None:
    machine = MachineSpec(
        "sleeping", units=(FakeUnit("docker.service", active=False), FakeUnit("docker.socket")),
        containers=(FakeContainer("jelly", "ab" * 32, running=False),),
    )  # fmt: skip
    fake = start_host(machine)
    assert look(Host(fake.paths, fake.programs), Which("docker", "jelly")) is None
    assert not [call for call in fake.kernel.calls() if call["argv"][0] == "docker"]


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("jelly", (Which("docker", "jelly"), Which("podman", "jelly"))),
        ("podman:jelly", (Which("podman", "jelly"),)),
        ("podman:ada/jelly", (Which("podman", "jelly", "ada"),)),
    ],
)
def test_an_entry_names_tool_user_and_container(entry: str, expected: tuple[Which, ...]) -> None:
    assert which(entry, ("docker", "podman")) == expected


def test_a_rootless_container_is_reached_as_its_user(tree) -> None:
    tree.write("etc/passwd", "ada:x:1000:1000::/home/ada:/bin/sh\n")
    argv = command(Which("podman", "jelly", "ada"), tree.paths, "stop", "--", "jelly")
    assert argv[:4] == ("runuser", "-u", "ada", "--")
    assert "XDG_RUNTIME_DIR=/run/user/1000" in argv
    assert argv[-4:] == ("podman", "stop", "--", "jelly")


@pytest.mark.parametrize("name", [name for name in RECORDED if name != "inspect-removed"])
def test_the_simulated_podman_says_what_the_real_one_did(name: str, start_host) -> None:
    """All but the moment in which a container with --rm has stopped and is not removed yet."""
    told, jelly = recording(name), recording("inspect-running").identifier
    runs = name not in ("inspect-stopped", "stop-stopped", "start")
    unit_made = FakeContainer(
        "unitmade", recording("inspect-of-a-unit").identifier, tool="podman", auto_remove=True,
        labels=(("PODMAN_SYSTEMD_UNIT", "unitmade.service"),),
    )  # fmt: skip
    plain = FakeContainer("jelly", jelly, "podman", running=runs)
    fake = start_host(MachineSpec("podman", containers=(plain, unit_made)))
    verb, *rest = told.words
    words = ("container", "inspect", "--format", FORMAT, "--", rest[-1]) if verb == "container" else told.words
    ended = fake.programs.run(("podman", *words), deadline=10.0)
    warned = "resorting to SIGKILL" in told.err  # busybox's sleep as PID 1 is deaf to SIGTERM
    assert (ended.returncode, ended.stdout, ended.stderr) == (told.status, told.out, "" if warned else told.err)


def test_the_store_of_the_simulated_podman_has_what_is_read_of_the_real_one(start_host) -> None:
    real = json.loads((PLACE / "containers.json").read_text())
    one = FakeContainer("jelly", real[0]["id"], "podman")
    fake = start_host(MachineSpec("podman", containers=(one,)))
    ours = json.loads(Path(fake.root, "var/lib/containers/storage/overlay-containers/containers.json").read_text())
    assert [(row["id"], row["names"]) for row in ours] == [(row["id"], row["names"]) for row in real[:1]]
