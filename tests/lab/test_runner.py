"""The lab's runner itself, without a lab: what it keeps, draws, compares, and how it ends what hangs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from tests.lab import commands, payload, pictures, process, run, shards, state
from tests.lab.cache import Cache, contents, key
from tests.lab.errors import CannotRun, Hung, LabError
from tests.lab.inside.scenario import Scenario, every
from tests.lab.machine import Machine
from tests.lab.session import Order, Session

KNOWN = tuple(Scenario(f"family.number-{n}", f"Title {n}.", f"number_{n}", seconds=20 + n * 4) for n in range(40))


def test_every_scenario_has_a_title_of_its_own_and_a_name_that_is_used_once():
    found = every()
    assert len({each.name for each in found}) == len({each.title for each in found}) == len(found) > 0
    assert all(each.title.endswith(".") for each in found)


def test_each_scenario_is_in_exactly_one_shard():
    names = [each.name for shard in shards.all_shards(KNOWN) for each in shard]
    assert sorted(names) == sorted(each.name for each in KNOWN)


def test_a_shard_takes_about_the_time_that_it_may():
    assert all(sum(each.seconds for each in shard) < 1.25 * shards.SECONDS for shard in shards.all_shards(KNOWN))


def test_every_shard_has_a_seed_and_a_seed_always_draws_the_same():
    drawn = {tuple(each.name for each in shards.drawn(f"2026-01-01-{n}", KNOWN)) for n in range(500)}
    assert len(drawn) == len(shards.all_shards(KNOWN))
    assert shards.drawn("a", KNOWN) == shards.drawn("a", KNOWN)


def test_smoke_is_drawn_with_every_shard():
    smoke = Scenario("smoke.one", "One.", "one")
    assert smoke in shards.drawn("any", (*KNOWN, smoke))


def test_what_is_longer_than_a_shard_is_never_drawn():
    long = Scenario("soak.long", "Long.", "long", seconds=shards.SECONDS + 1)
    assert shards.drawn("any", (long,)) == []
    assert shards.named(["all"], (long,)) == [long]


@pytest.mark.parametrize("of", [1, 2, 5])
def test_every_scenario_is_in_one_part_and_the_parts_take_about_the_same_time(of):
    parts = [shards.part(f"{number}/{of}", KNOWN) for number in range(1, of + 1)]
    assert sorted(each.name for part in parts for each in part) == sorted(each.name for each in KNOWN)
    seconds = [sum(each.seconds for each in part) for part in parts]
    assert max(seconds) - min(seconds) < max(each.seconds for each in KNOWN)


@pytest.mark.parametrize("word", ["3", "0/2", "3/2", "a/b", "1/0", ""])
def test_a_part_that_cannot_be_is_named(word):
    with pytest.raises(ValueError, match=f"not {word}"):
        shards.part(word, KNOWN)


def test_an_unknown_scenario_is_named():
    with pytest.raises(ValueError, match=r"no scenario typo\."):
        shards.named(["family.number-1", "typo"], KNOWN)


def test_a_family_names_all_of_its_scenarios():
    assert shards.named(["family"], KNOWN) == list(KNOWN)


# ---- the cache


def test_what_was_made_once_is_not_made_again(tmp_path):
    cache = Cache(str(tmp_path))
    made = []
    for _ in range(2):
        cache.made("image-1", made.append, needs_gib=0)
    assert len(made) == 1


def test_what_a_killed_run_had_begun_is_swept_and_made_anew(tmp_path):
    cache = Cache(str(tmp_path))
    with pytest.raises(ZeroDivisionError):
        cache.made("image-1", lambda part: 1 / 0, needs_gib=0)
    with cache.locked(lambda: None):
        assert os.listdir(tmp_path) == ["lock"]


def test_only_the_newest_of_the_old_ones_is_kept(tmp_path):
    cache = Cache(str(tmp_path))
    for number in range(4):
        cache.made(f"image-{number}", lambda part: None, needs_gib=0)
        os.utime(tmp_path / f"image-{number}", (number, number))
    assert sorted(os.listdir(tmp_path)) == ["image-2", "image-3"]


def test_a_full_disk_is_one_sentence_before_anything_is_made(tmp_path):
    with pytest.raises(CannotRun, match=r"There is no space for the image of the lab: it needs 1000000\.0 GiB"):
        Cache(str(tmp_path)).made("image-1", lambda part: pytest.fail("made"), needs_gib=1e6)


def test_a_second_run_waits_for_the_first(tmp_path):
    cache, waited = Cache(str(tmp_path)), []
    code = "import fcntl, sys; f = open(sys.argv[1], 'a'); fcntl.flock(f, 2); print(flush=True); sys.stdin.read()"
    argv = [sys.executable, "-c", code, str(tmp_path / "lock")]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        other.stdout.readline()

        def wait():
            waited.append(True)
            other.stdin.close()

        with cache.locked(wait):
            assert waited


def test_a_key_changes_with_content_name_and_mode(tmp_path):
    file = tmp_path / "a"
    keys = set()
    for text, mode in (("1", 0o644), ("2", 0o644), ("2", 0o755)):
        file.write_text(text)
        file.chmod(mode)
        keys.add(key(*contents(str(tmp_path))))
    file.rename(tmp_path / "b")
    assert len({*keys, key(*contents(str(tmp_path)))}) == 4


def test_what_is_built_on_another_goes_with_it(tmp_path):
    cache = Cache(str(tmp_path))
    for number in range(3):
        below = cache.made(f"image-{number}", lambda part: None, needs_gib=0)
        cache.made("base-1", lambda part: None, needs_gib=0, within=below)
        os.utime(below, (number, number))
    assert sorted(os.listdir(tmp_path)) == ["image-1", "image-2"]
    assert os.path.isdir(tmp_path / "image-2" / "base-1")


# ---- pictures


def ppm(path, pixels, width=2, height=2):
    path.write_bytes(b"P6\n%d %d\n255\n" % (width, height) + bytes(pixels))
    return pictures.read(str(path))


def test_one_other_pixel_is_a_difference_and_said_where(tmp_path):
    one = ppm(tmp_path / "1", [0] * 12)
    other = ppm(tmp_path / "2", [0] * 11 + [1])
    assert pictures.difference(one, one) == ""
    assert pictures.difference(one, other) == "1 rows of 2 differ, from 1 to 1"


def test_another_size_is_a_difference(tmp_path):
    one, other = ppm(tmp_path / "1", [0] * 12), ppm(tmp_path / "2", [0] * 6, height=1)
    assert pictures.difference(one, other) == "2x2 became 2x1"


def test_a_picture_of_nothing_but_a_pointer_is_empty(tmp_path):
    rows = 100
    pointer = [0] * 6 * (rows - 32) + [0, 0, 0, 9, 9, 9] * 32
    assert pictures.is_empty(ppm(tmp_path / "1", pointer, height=rows))
    assert not pictures.is_empty(ppm(tmp_path / "2", [0] * 6 * 50 + [9] * 6 * 50, height=rows))


def test_pixels_that_look_like_blanks_are_read_as_pixels(tmp_path):
    assert ppm(tmp_path / "1", [10] * 12).pixels == b"\n" * 12


# ---- QEMU as a process


def test_a_process_that_a_dead_run_left_is_ended(tmp_path):
    child = subprocess.Popen(["sleep", "100"])
    pidfile = tmp_path / "pid"
    pidfile.write_text(f"{child.pid} {process.birth(child.pid)}\n")
    assert "left behind" in process.end_stale(str(pidfile))
    assert child.wait(10) == -signal.SIGKILL
    assert not pidfile.exists()


def test_another_process_with_that_pid_is_left_alone(tmp_path):
    child = subprocess.Popen(["sleep", "100"])
    pidfile = tmp_path / "pid"
    pidfile.write_text(f"{child.pid} 12345 {process.birth(child.pid).split()[1]}\n")
    assert process.end_stale(str(pidfile)) == ""
    assert child.poll() is None
    child.kill()
    child.wait()


def test_a_killed_runner_takes_its_machine_along(tmp_path):
    code = (
        "import sys, time; sys.path.insert(0, sys.argv[1])\n"
        "from tests.lab.process import Qemu\n"
        "qemu = Qemu(['sleep', '100'], sys.argv[2] + '/log', sys.argv[2] + '/pid')\n"
        "print(qemu.child.pid, flush=True); time.sleep(100)"
    )
    runner = subprocess.Popen([sys.executable, "-c", code, payload.CHECKOUT, str(tmp_path)], stdout=subprocess.PIPE)
    assert runner.stdout
    pid = int(runner.stdout.readline())
    until(lambda: b"sleep" in cmdline(pid)[:6])
    runner.kill()
    runner.communicate()
    until(lambda: not process.birth(pid) or b"sleep" not in cmdline(pid))


def cmdline(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read()
    except OSError:
        return b""


def until(condition):
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_program_that_fails_shows_the_end_of_what_it_said(tmp_path):
    with pytest.raises(LabError, match=r"status 3\.\n.*\nalas"):
        commands.run(["sh", "-c", "echo alas; exit 3"], str(tmp_path / "log"), 20)


def test_a_program_that_hangs_is_ended_at_its_deadline(tmp_path):
    with pytest.raises(LabError, match="did not end within 0 s"):
        commands.run(["sleep", "100"], str(tmp_path / "log"), 0.2)


# ---- a machine that does not what it must: a program in QEMU's place

FAKE = """#!{python}
import json, re, socket, sys, time
words = " ".join(sys.argv)
def connect(name):
    end = socket.socket(socket.AF_UNIX)
    end.connect(re.search(f"id={{name}},path=([^ ,]+)", words)[1])
    return end
qmp, line = connect("qmp"), connect("line")
qmp.sendall(b'{{"QMP": {{}}}}\\n')
qmp.recv(1000)
qmp.sendall(b'{{"return": {{}}}}\\n')
def tell(**event): line.sendall(json.dumps(event).encode() + b"\\n")
def serial(text): open(re.search("id=serial,path=([^ ,]+)", words)[1], "a").write(text)
"""


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Runs `script` in QEMU's place, and gives the order to it; the session's result or error."""

    def start(script, boot=150.0):
        program = tmp_path / "bin" / "qemu-system-x86_64"
        program.parent.mkdir()
        program.write_text(FAKE.format(python=sys.executable) + script)
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
        monkeypatch.setattr("tests.lab.session.BOOT", boot)
        monkeypatch.setattr("tests.lab.qmp.ANSWER", 1.0)
        heard = []
        keep = str(tmp_path / "keep")
        with Session(Machine("", "", "", ""), keep, str(tmp_path / "pid"), heard.append) as session:
            return session.run(Order("m", "b", 0.1, 0.01, {})), heard

    return start


def test_a_hung_boot_ends_at_its_deadline_and_shows_the_serial_console(machine):
    with pytest.raises(LabError, match=r"(?s)did not boot within 1 s.*Kernel panic"):
        machine("serial('Kernel panic - not syncing\\n'); time.sleep(100)", boot=100)


def test_a_kernel_that_qemu_refuses_is_said_with_its_words(machine, tmp_path):
    with pytest.raises(LabError, match="The machine has ended"):
        machine("sys.exit('invalid kernel header')")
    assert "invalid kernel header" in (tmp_path / "keep/qemu.log").read_text()


def test_a_scenario_that_never_ends_fails_with_what_the_machine_said_last(machine):
    with pytest.raises(LabError, match=r"(?s)it hangs.*last words"):
        machine("tell(event='booted'); serial('last words\\n'); time.sleep(100)")


def test_a_machine_that_falls_silent_hangs_and_shows_where_its_processors_are(machine, monkeypatch, tmp_path):
    monkeypatch.setattr("tests.lab.session.SILENCE", 20.0)
    script = (
        "tell(event='booted'); line.recv(1000); tell(event='alive')\n"
        "for place in ('one', 'two'):\n"
        "    qmp.recv(1000); qmp.sendall(json.dumps({'return': place}).encode() + b'\\n')\n"
        "time.sleep(100)"
    )
    with pytest.raises(Hung, match="Not a word for 0 s: it hangs"):
        machine(script)
    assert [(tmp_path / f"keep/registers-{look}.txt").read_text() for look in ("first", "second")] == ["one", "two"]


def test_a_saved_machine_whose_making_hangs_is_made_once_more(tmp_path, monkeypatch):
    made, heard = [], []

    def hangs_first(*words):
        made.append(words)
        if len(made) == 1:
            raise Hung("Not a word for 90 s: it hangs.")

    monkeypatch.setattr(state, "_made", hangs_first)
    place = state.Place(Cache(str(tmp_path)), "bookworm", "", 1.0, str(tmp_path), heard.append)
    (tmp_path / "settle").mkdir()
    state._make(place, "", Machine("", "", "", ""), "settle", "")
    assert len(made) == 2
    assert "A second try; what the first one left" in heard[0]["text"]
    assert (tmp_path / "settle-hung").is_dir()


def test_a_verdict_is_passed_on_with_the_checks_before_it(machine):
    script = (
        "tell(event='booted'); line.recv(1000)\n"
        "tell(event='check', name='one', verdict='passed', seconds=1, said='')\n"
        "tell(event='end', verdict='passed', why=''); time.sleep(100)"
    )
    last, heard = machine(script)
    assert last["verdict"] == "passed"
    assert [event["name"] for event in heard] == ["one"]


def test_a_machine_that_dies_in_the_middle_fails_the_scenario(machine):
    with pytest.raises(LabError, match=r"The machine ended\. QEMU ended with status 7"):
        machine("tell(event='booted'); line.recv(1000); sys.exit(7)")


def test_a_disk_that_is_asked_for_is_empty_and_of_that_size(machine):
    script = (
        "tell(event='booted'); line.recv(1000)\n"
        "tell(event='disk', name='one', mib=3)\n"
        "asked = json.loads(qmp.recv(1000)); qmp.sendall(b'{\"return\": {}}\\n'); line.recv(1000)\n"
        "disk = open(asked['arguments']['file']['filename'], 'rb').read()\n"
        "said = f\"{asked['arguments']['node-name']} {len(disk) >> 20} {any(disk)}\"\n"
        "tell(event='end', verdict='passed', why=said); time.sleep(100)"
    )
    assert machine(script)[0]["why"] == "one 3 False"


def test_a_failure_is_one_line_in_the_summary():
    result = run.Result(KNOWN[0], verdict="failed", why="one sentence.\nand more", seconds=3.4)
    assert result.line() == "family.number-0: failed in 3 s: one sentence."


def test_more_than_the_saved_machines_disk_holds_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(payload, "SIZE", 1000)
    with pytest.raises(LabError, match="larger than the disk"):
        payload.write(str(tmp_path / "tar"))
