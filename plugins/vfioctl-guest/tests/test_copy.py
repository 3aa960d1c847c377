"""A file on its way into a guest and out of it: the scripts run here, in the place of the guest's shell."""

from __future__ import annotations

import hashlib
import os
import signal
import stat
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from vfioctl_guest.commands import copy as verb
from vfioctl_guest.commands.copy import MOST, Choice, Errand, errand_of
from vfioctl_guest.copying import scripts
from vfioctl_guest.copying.into import Copied, into, source
from vfioctl_guest.copying.out import Out
from vfioctl_guest.copying.pace import Pace
from vfioctl_guest.copying.roads import AgentRoad, Said, SshRoad
from vfioctl_guest.reach_views import copied
from vfioctl_guest.whole_file import whole_file

from vfioctl.plugin import GuestAddress, GuestAddresses, Refused, VfioctlError, until

TOOLS = ("cat", "chmod", "df", "ln", "mkdir", "mv", "rm", "sh", "sha256sum", "sleep", "stat", "wc")
CONTENT = bytes(range(256)) * 3000
GUEST = SimpleNamespace(uuid="u", live_xml="<domain/>")
WEB = SimpleNamespace(name="web", called="web", guest=GUEST, uri="qemu:///system")


class Here:
    """A road into no guest: its scripts run in this computer's shell, which finds `tools` alone."""

    name = "agent"

    def __init__(self, tools: str) -> None:
        self.tools = tools
        self.between: Callable[[], object] = lambda: None  # what happens while the bytes are on their way

    def run(self, script: str, *words: str) -> Said:
        ended = subprocess.run(
            ("/bin/sh", "-c", script, "sh", *words), env={"PATH": self.tools}, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        return Said(ended.returncode, ended.stdout, ended.stderr.strip())

    def read(self, path: str, take: Callable[[bytes], object]) -> None:
        content = Path(path).read_bytes()
        take(content[:1000])
        self.between()
        with Path(path).open("rb") as file:
            file.seek(1000)
            take(file.read())

    def write(self, path: str, chunks: Iterable[bytes]) -> None:
        with Path(path).open("wb") as file:
            for chunk in chunks:
                file.write(chunk)
                self.between()


@pytest.fixture
def road(tmp_path: Path) -> Here:
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in TOOLS:
        (tools / name).symlink_to(next(p for p in (f"/bin/{name}", f"/usr/bin/{name}") if os.path.exists(p)))
    return Here(str(tools))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file of this host."""
    made = tmp_path / "file"
    made.write_bytes(CONTENT)
    made.chmod(0o750)
    return made


@pytest.fixture
def there(tmp_path: Path) -> Path:
    """A directory in the guest."""
    made = tmp_path / "there"
    made.mkdir()
    return made


def put(road: Any, file: Path, path: object, *, overwrite: bool = False, tell: Any = print) -> Copied:
    with source(str(file)) as one:
        return into(road, "web", one, str(path), tell, overwrite=overwrite)


def bring(road: Any, path: object, goal: object, *, overwrite: bool = False) -> Copied:
    out = Out(road, "web", str(path))
    return out.bring(out.look(), str(goal), print, overwrite=overwrite)


@contextmanager
def refused(code: str, match: str | None = None) -> Iterator[Any]:
    with pytest.raises(VfioctlError, match=match) as caught:
        yield caught
    assert caught.value.code == code


SHA = hashlib.sha256(CONTENT).hexdigest()


@pytest.mark.parametrize("name", ["new", "sp ace'quote", "-n"])
def test_a_file_has_its_bytes_and_its_mode_in_the_guest_and_nothing_lies_beside_it(road, file, there, name) -> None:
    done = put(road, file, there / name)
    assert done == Copied(str(there / name), len(CONTENT), 0o750, SHA, compared=True)
    assert (there / name).read_bytes() == CONTENT
    assert stat.S_IMODE((there / name).stat().st_mode) == 0o750
    assert os.listdir(there) == [name]


def test_a_directory_gets_the_file_under_its_own_name(road, file, there) -> None:
    assert put(road, file, f"{there}/").path == put(road, file, there, overwrite=True).path == f"{there}/file"


@pytest.mark.parametrize("name", [b"a\nb", b"a\xe2\x80\xa8b", b"f\xfcr"])
def test_a_name_that_a_shell_would_not_give_back_is_refused(road, file, there, tmp_path, name) -> None:
    odd = tmp_path / os.fsdecode(name)
    file.rename(odd)
    with refused("guest.copy", "cannot be printed"):
        put(road, odd, there)
    assert os.listdir(there) == []


def test_it_comes_back_as_it_went(road, file, there, tmp_path) -> None:
    put(road, file, there)
    assert bring(road, there / "file", tmp_path / "back") == Copied(
        str(tmp_path / "back"), len(CONTENT), 0o750, SHA, compared=True
    )
    assert (tmp_path / "back").read_bytes() == CONTENT
    assert stat.S_IMODE((tmp_path / "back").stat().st_mode) == 0o750


def test_an_empty_file_and_one_of_unusual_mode_go_and_come(road, there, tmp_path) -> None:
    (tmp_path / "empty").touch(mode=0o600)
    (tmp_path / "empty").chmod(0o4711)
    assert put(road, tmp_path / "empty", there).mode == 0o711, "nothing becomes another user there"
    assert bring(road, there / "empty", tmp_path / "back").size == 0


@pytest.mark.parametrize("what", ["file", "link"])
def test_what_is_there_stays_unless_it_is_to_be_replaced(road, file, there, tmp_path, what) -> None:
    old, behind = there / "old", tmp_path / "behind"
    behind.write_text("behind")
    old.write_text("old") if what == "file" else old.symlink_to(behind)
    for copies in (lambda **how: put(road, file, old, **how), lambda **how: bring(road, file, old, **how)):
        with refused("guest.copy_exists", "is there already"):
            copies()
        copies(overwrite=True)
        assert not old.is_symlink()
        assert old.read_bytes() == CONTENT
        old.unlink()
        old.write_text("old") if what == "file" else old.symlink_to(behind)
    assert behind.read_text() == "behind"
    assert os.listdir(there) == ["old"]


def test_no_directory_and_nothing_but_a_plain_file_is_replaced_or_copied(road, file, there, tmp_path) -> None:
    (there / "kept").mkdir()
    os.mkfifo(there / "pipe")
    (there / "kept/file").mkdir()
    for path in (there / "pipe", there / "kept"):
        with refused("guest.copy", "is no plain file"):
            put(road, file, path, overwrite=True)
    for path in (there / "pipe", there):
        with refused("guest.copy", "is no plain file"):
            bring(road, path, tmp_path / "back")
        with refused("guest.copy", "cannot be read: it is a"), source(str(path)):
            pass
    with refused("guest.copy_exists", "no plain file"):
        bring(road, file, there / "pipe", overwrite=True)
    with refused("guest.copy", "no directory"):
        put(road, file, there / "none/file")
    with refused("guest.copy", "There is no"):
        bring(road, there / "none", tmp_path / "back")
    with refused("guest.copy", "No such file"), source(str(tmp_path / "none")):
        pass
    assert not (tmp_path / "back").exists()


@pytest.mark.parametrize("change", ["shorter", "longer", "other"])
def test_a_file_that_changes_on_the_way_leaves_nothing(road, file, there, tmp_path, change) -> None:
    def changed() -> None:
        content = {"shorter": CONTENT[:2000], "longer": CONTENT + b"more", "other": CONTENT[::-1]}[change]
        file.write_bytes(content)
        os.utime(file, (1, 1))

    road.between = changed
    for copies in (lambda: put(road, file, there / "new"), lambda: bring(road, file, there / "new")):
        file.write_bytes(CONTENT)
        with refused("guest.copy_changed", "was changed"):
            copies()
        assert os.listdir(there) == []


def test_other_bytes_than_were_sent_get_no_name(road, file, there) -> None:
    def damaged() -> None:
        (part,) = there.glob(".vfioctl-*/file")
        with part.open("r+b") as it:
            it.write(b"damage")

    road.between = damaged
    with refused("guest.copy_differs", "has got other bytes"):
        put(road, file, there / "new")
    assert os.listdir(there) == []


def test_other_bytes_than_the_guest_has_get_no_name_here(road, file, there, monkeypatch) -> None:
    monkeypatch.setattr(road, "read", lambda _path, take: take(CONTENT[::-1]))
    with refused("guest.copy_differs", "Other bytes came"):
        bring(road, file, there / "new")
    assert os.listdir(there) == []


def test_a_guest_without_sha256sum_compares_the_length_alone(road, file, there, tmp_path) -> None:
    os.unlink(f"{road.tools}/sha256sum")
    assert not put(road, file, there).compared
    assert not bring(road, there / "file", tmp_path / "back").compared
    road.between = lambda: [os.truncate(part, 7) for part in there.glob(".vfioctl-*/file")]
    with refused("guest.copy_differs"):
        put(road, file, there / "new")


def test_a_disk_that_is_full_takes_nothing(road, file, there) -> None:
    os.unlink(f"{road.tools}/df")
    Path(f"{road.tools}/df").write_text("#!/bin/sh\necho FS\necho /dev/vda 100 99 1 99% /\n")
    Path(f"{road.tools}/df").chmod(0o755)
    with refused("guest.copy_room", "no room for 750 KiB"):
        put(road, file, there)
    assert os.listdir(there) == []


@pytest.mark.parametrize("error", [VfioctlError("libvirt.failed", "No space left on device."), KeyboardInterrupt()])
def test_what_fails_half_way_leaves_nothing_or_says_what(road, file, there, error) -> None:
    def fail() -> None:
        raise error

    told: list[str] = []
    road.between = fail
    with pytest.raises(type(error)) as caught:
        put(road, file, there, tell=told.append)
    assert os.listdir(there) == []
    assert getattr(caught.value, "state", "") in ("", "Nothing of it is left in the guest.")
    os.unlink(f"{road.tools}/rm")
    with pytest.raises(type(error)) as caught:
        put(road, file, there, tell=told.append)
    (left,) = there.iterdir()
    assert [getattr(caught.value, "state", ""), *told][-1].endswith(f"The guest keeps what came of it in {left}.")


def test_somebody_who_makes_the_file_meanwhile_keeps_it(road, file, there) -> None:
    road.between = lambda: (there / "new").write_text("theirs")
    with refused("guest.copy_exists"):
        put(road, file, there / "new")
    assert (there / "new").read_text() == "theirs"
    assert os.listdir(there) == ["new"]


def test_a_dry_run_looks_at_both_sides_and_makes_nothing(road, file, there, tmp_path) -> None:
    with source(str(file)) as one:
        foretold = into(road, "web", one, f"{there}/", print, overwrite=False, dry_run=True)
    assert foretold == Copied(f"{there}/file", len(CONTENT), 0o750, "", compared=False)
    out = Out(road, "web", str(file))
    assert out.foretell(out.look(), str(there / "back"), overwrite=False).path == str(there / "back")
    assert os.listdir(there) == []


def test_a_dry_run_is_refused_where_the_copy_would_be(road, file, there) -> None:
    (there / "file").touch()
    with source(str(file)) as one, refused("guest.copy_exists"):
        into(road, "web", one, str(there), print, overwrite=False, dry_run=True)
    out = Out(road, "web", str(file))
    with refused("guest.copy_exists", "is there already"):
        out.foretell(out.look(), str(there / "file"), overwrite=False)
    with refused("guest.copy_exists", "not there"):
        out.foretell(out.look(), str(there / "none/file"), overwrite=False)


@pytest.mark.parametrize("path", ["there", "there/", "there/new"])
def test_one_that_is_interrupted_while_the_guest_begins_leaves_nothing(road, file, there, tmp_path, path) -> None:
    run = road.run

    def interrupted(script: str, *words: str) -> Said:
        done = run(script, *words)
        if script == scripts.BEGIN:
            assert [name[:9] for name in os.listdir(there)] == [".vfioctl-"]
            raise KeyboardInterrupt
        return done

    road.run = interrupted
    with pytest.raises(KeyboardInterrupt):
        put(road, file, f"{tmp_path}/{path}")
    assert os.listdir(there) == []


def begun(road: Here, there: Path, every: str = "0.02") -> Path:
    """The directory for the bytes of a copy that nobody goes on with; its guard looks often."""
    said = road.run(scripts.BEGIN, str(there / "new"), "file", "1", "", "", every, ".vfioctl-x")
    return Path(said.stdout.splitlines()[1])


def test_what_a_killed_copy_has_left_in_the_guest_goes_by_itself(road, there) -> None:
    made = begun(road, there)
    (made / "file").write_bytes(b"half")
    assert until(lambda: os.listdir(there) == [], 20.0)


def test_what_still_grows_in_the_guest_stays(road, there) -> None:
    made, end = begun(road, there, "0.1"), time.monotonic() + 2 * 0.1 * scripts.PATIENCE
    with (made / "file").open("ab", buffering=0) as file:
        until(lambda: file.write(b"more") and time.monotonic() > end, 60.0)
        assert made.exists()


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_copy_from_a_guest_that_is_killed_leaves_nothing_here(there, overwrite) -> None:
    if not (child := os.fork()):
        with whole_file(str(there / "back"), "guest.copy_exists", overwrite=overwrite) as fd:
            os.write(fd, b"half")
            os.kill(os.getpid(), signal.SIGKILL)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert os.listdir(there) == []


def test_a_file_system_without_unnamed_files_gets_a_named_one(there, monkeypatch) -> None:
    monkeypatch.setattr("vfioctl_guest.whole_file.os.O_TMPFILE", os.O_DIRECTORY)  # as such kernels take it: EISDIR
    for overwrite in (False, True):
        with whole_file(str(there / "back"), "guest.copy_exists", overwrite=overwrite) as fd:
            os.write(fd, b"whole")
            assert len(os.listdir(there)) == 1 + overwrite
        assert os.listdir(there) == ["back"]
    with refused("guest.copy_exists"), whole_file(str(there / "back"), "guest.copy_exists", overwrite=False):
        pytest.fail("it is there already")


@pytest.mark.parametrize("overwrite", [False, True])
def test_what_is_called_as_our_process_beside_the_file_stays(there, overwrite) -> None:
    other = there / f"back.{os.getpid()}"
    other.write_bytes(b"not ours")
    with whole_file(str(there / "back"), "guest.copy_exists", overwrite=overwrite) as fd:
        os.write(fd, b"whole")
    assert other.read_bytes() == b"not ours"


def test_how_far_it_is_is_told_every_few_seconds() -> None:
    told: list[str] = []
    times = iter([0.0, 1.0, 6.0, 7.0])
    pace = Pace(4 << 20, told.append, lambda: next(times))
    for _ in range(3):
        pace.passed(bytes(1 << 20))
    assert told == ["2.0 MiB of 4.0 MiB, 341 KiB/s, 6 s left"]


@pytest.mark.parametrize(
    ("words", "errand"),
    [
        (("a", "web:/b"), Errand("web", "/b", "a", goes=True)),
        (("web:/b c", "./a:b"), Errand("web", "/b c", "./a:b", goes=False)),
        (("web:/b", "/a:b"), Errand("web", "/b", "/a:b", goes=False)),
    ],
)
def test_one_side_is_in_a_guest(words: tuple[str, str], errand: Errand) -> None:
    assert errand_of(*words) == errand


@pytest.mark.parametrize(("words", "why"), [
    (("a", "b"), "none is in a guest"), (("a:/x", "b:/x"), "both are in a guest"), (("a", "web:b"), "no path"),
    (("a", "web:/b\nc"), "no path"), (("web:", "b"), "no path"),
])  # fmt: skip
def test_other_words_are_refused(words: tuple[str, str], why: str) -> None:
    with refused("guest.copy", why):
        errand_of(*words)


SSH = """#!/bin/sh
printf '%s\\n' "$*" >> "$LOG"
[ -z "$BROKEN" ] || { echo "Host key verification failed." >&2; exit 255; }
for last; do :; done
exec sh -c "$last"
"""


@pytest.fixture
def over_ssh(road, tmp_path, monkeypatch) -> Path:
    """An ssh that stays here; what it was called with is in the file."""
    ssh, log = Path(road.tools, "ssh"), tmp_path / "log"
    ssh.write_text(SSH)
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", road.tools)
    monkeypatch.setenv("LOG", str(log))
    return log


def test_over_ssh_it_is_the_same(over_ssh, file, there, tmp_path) -> None:
    ssh = SshRoad(WEB, ("ssh", "--", "10.0.0.7"))
    assert put(ssh, file, there / "sp ace'quote").compared
    assert bring(ssh, there / "sp ace'quote", tmp_path / "back").compared
    assert (tmp_path / "back").read_bytes() == CONTENT
    with refused("guest.copy", "There is no"):
        bring(ssh, there / "none", tmp_path / "other")
    assert over_ssh.read_text().startswith("-- 10.0.0.7 sh -c ")


def test_an_ssh_that_does_not_get_there_names_the_other_ways(over_ssh, file, there, monkeypatch) -> None:
    monkeypatch.setenv("BROKEN", "1")
    with refused("guest.copy_failed", "Host key verification failed") as caught:
        put(SshRoad(WEB, ("ssh", "--", "10.0.0.7")), file, there)
    assert caught.value.hints[0].endswith("vfioctl guest ssh web")


def test_a_write_that_stops_over_ssh_is_told_in_its_words(over_ssh, file, there) -> None:
    with refused("guest.copy_failed", "stopped the copy: .*Is a directory"):
        SshRoad(WEB, ("ssh", "--", "10.0.0.7")).write(str(there), [CONTENT] * 9)


FOUND = GuestAddresses((GuestAddress("10.0.0.7", 24, "ipv4", "52:54:00:00:00:01", "lease"),))


@pytest.mark.parametrize(
    ("seen", "by", "user", "way"),
    [
        (FOUND, "auto", None, SshRoad), (GuestAddresses(), "auto", None, AgentRoad), (FOUND, "agent", None, AgentRoad),
        (FOUND, "ssh", "ada", SshRoad), (GuestAddresses(silent=("no lease",)), "ssh", None, None),
        (GuestAddresses(silent=("no lease",)), "auto", "ada", None), (FOUND, "agent", "ada", None),
    ],
)  # fmt: skip
def test_it_goes_over_ssh_where_there_is_an_address_and_else_by_the_agent(seen, by, user, way, monkeypatch) -> None:
    monkeypatch.setattr(verb, "read_addresses", lambda *_: seen)
    monkeypatch.setattr(verb, "must_have_agent", lambda _: None)
    how = Choice(by, user, None, overwrite=False)
    if way is None:
        with pytest.raises(VfioctlError, match=r"no lease|--by says agent"):
            verb._road(None, WEB, how)
    else:
        road = verb._road(None, WEB, how)
        assert isinstance(road, way)
        assert getattr(road, "argv", ("ssh", "-o", "BatchMode=yes"))[:3] == ("ssh", "-o", "BatchMode=yes")


def test_an_agent_takes_no_file_that_would_keep_it_for_long(tmp_path) -> None:
    verb._must_be_small(AgentRoad(None, "u"), WEB, MOST)  # type: ignore[arg-type]
    verb._must_be_small(SshRoad(WEB, ()), WEB, MOST + 1)
    with pytest.raises(Refused) as caught:
        verb._must_be_small(AgentRoad(None, "u"), WEB, MOST + 1)  # type: ignore[arg-type]
    assert caught.value.code == "guest.copy_large"


def test_it_is_said_what_went_where() -> None:
    data = {"guest": "web", "path": "/tmp/a", "file": "/a", "by": "ssh", "bytes": 5 << 20, "mode": "0644",
            "sha256": SHA, "dry_run": False}  # fmt: skip
    assert list(copied({**data, "direction": "in"})) == [
        "/a was copied to web:/tmp/a by ssh: 5.0 MiB, mode 0644.", f"sha256 {SHA}",
    ]  # fmt: skip
    assert list(copied({**data, "direction": "out", "sha256": "", "dry_run": True})) == [
        "web:/tmp/a would be copied to /a by ssh: 5.0 MiB, mode 0644.",
    ]  # fmt: skip
    assert next(iter(copied({**data, "direction": "out"}))).startswith("web:/tmp/a was copied to /a by ssh")
