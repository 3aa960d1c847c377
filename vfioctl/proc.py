"""The only module that runs programs and blocking writes on the hook path. Fixed environment, own session, deadline.

Never inherits stdout or stderr: a child that keeps them makes `virsh start` wait until it ends.
"""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from vfioctl import files
from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import DeadlineExceeded, StepFailed
from vfioctl.frozen import frozen
from vfioctl.kernel_io import Writer, be_child, close_all_but

if TYPE_CHECKING:
    import subprocess
    from typing import Any, NoReturn

KILL_GRACE = 0.5
LISTEN = 0.25  # seconds between two looks at what a program says


@frozen
class Completed:
    """A program that ended. `returncode` is negative for a signal; `stderr` is whole."""

    argv: tuple[str, ...]
    returncode: int
    stdout: str
    stderr: str
    duration: float

    @property
    def ok(self) -> bool:
        return self.returncode == 0

    def why(self) -> str:
        """One sentence about how it failed."""
        if self.returncode < 0:
            return f"{self.argv[0]} was killed by {signal.Signals(-self.returncode).name}"
        said = " ".join(self.stderr.split()) or "it said nothing"
        return f"{' '.join(self.argv)} ended with status {self.returncode}: {said}"


class Programs:
    """Runs programs found in `path`, with a fixed environment and the given descriptors inherited (locks)."""

    def __init__(
        self, path: str, *, keep_fds: tuple[int, ...] = (), writer: Writer | None = None,
        silent: dict[str, float] | None = None,
    ) -> None:  # fmt: skip
        self.path = path
        self.keep_fds = keep_fds
        self.writer = writer or Writer()
        self.silent = {} if silent is None else silent  # directory → when it did not answer; see reach.py
        self.environment = {"PATH": path, "LC_ALL": "C.UTF-8", "LANG": "C.UTF-8", "TERM": "dumb"}

    def holding(self, *fds: int) -> Programs:
        """The same, with children that also inherit `fds`: an orphan keeps the transaction's lock."""
        kept = tuple({*self.keep_fds, *(fd for fd in fds if fd >= 0)})
        return Programs(self.path, keep_fds=kept, writer=self.writer, silent=self.silent)

    def without_locks(self) -> Programs:
        """The same, with children that inherit nothing: what one starts for good would keep a lock for ever."""
        return Programs(self.path, writer=self.writer, silent=self.silent)

    def find(self, name: str) -> str | None:
        """The full path of the program `name`, or None."""
        for directory in self.path.split(":"):
            candidate = os.path.join(directory, name)
            if os.access(candidate, os.X_OK):
                return candidate
        return None

    def run(self, argv: Sequence[str], *, deadline: float, stdin: str = "", whole: bool = False) -> Completed:
        """Run `argv` to its end within `deadline` seconds. `whole`: never kill it, since it changes a file in place.

        At ^C the end of such a one comes first; what takes too long goes on, and keeps our locks as long as it does.
        Raises StepFailed("program.missing"), DeadlineExceeded("program.deadline"); a failing status is returned.
        """
        from subprocess import TimeoutExpired  # most hand-offs of a second card run no program

        started = time.monotonic()
        child = self._spawn([self._program(argv[0]), *argv[1:]])
        try:
            out, err = child.communicate(stdin, timeout=max(0.05, deadline))
        except TimeoutExpired:
            _let_go(child) if whole else self._end(child)
            raise _too_long(argv, deadline, whole=whole) from None
        except BaseException:  # ^C, or guard.clock: neither reaches it in its own session, and it has our locks
            child.communicate() if whole else self._end(child)
            raise
        return Completed(tuple(argv), child.returncode, out, err, time.monotonic() - started)

    def follow(self, argv: Sequence[str], *, deadline: float, heard: Callable[[str], None]) -> Completed:
        """Run `argv` as `run` does; `heard` gets what came on stdout since, "" for nothing, several times a second.

        What `heard` raises ends the program, and is raised.
        """
        from subprocess import TimeoutExpired

        started, said = time.monotonic(), {1: b"", 2: b""}
        child = self._spawn([self._program(argv[0]), *argv[1:]])
        try:
            for stream, data in _spoken(child):
                said[stream] += data
                heard(data.decode(errors="replace") if stream == 1 else "")
                if time.monotonic() - started > deadline:
                    raise _too_long(argv, deadline)
            child.communicate(timeout=KILL_GRACE)
        except TimeoutExpired:
            self._end(child)
            raise _too_long(argv, deadline) from None
        except BaseException:
            self._end(child)
            raise
        out, err = (said[stream].decode(errors="replace") for stream in (1, 2))
        return Completed(tuple(argv), child.returncode, out, err, time.monotonic() - started)

    def _program(self, name: str) -> str:
        program = name if name.startswith("/") else self.find(name)
        if program is None:
            raise StepFailed("program.missing", f"The program {name} is not installed (searched in {self.path}).")
        return program

    def _end(self, child: subprocess.Popen[str]) -> None:
        if not kill_group(child):
            self._leave_behind()

    def _leave_behind(self) -> None:
        """Keep our locks for ourselves: a program that nothing ends would hold them for as long as it waits."""
        for fd in self.keep_fds:
            files.renew_lock(fd)

    def _spawn(self, argv: list[str]) -> subprocess.Popen[str]:
        from subprocess import PIPE, Popen

        try:
            return Popen(
                argv, stdin=PIPE, stdout=PIPE, stderr=PIPE, text=True,
                encoding="utf-8", errors="replace", env=self.environment, start_new_session=True,
                pass_fds=self.keep_fds, cwd="/",
            )  # fmt: skip
        except OSError as error:
            raise StepFailed("program.unusable", f"{argv[0]} cannot be started: {error.strerror}.") from error


def preload() -> None:
    """Import now what the start of a program would import."""
    import subprocess  # noqa: F401 -- most hand-offs of a second card run no program


def become(argv: Sequence[str], environment: Mapping[str, str]) -> NoReturn:
    """Be the program `argv` from now on, on our terminal. Raises StepFailed("program.unusable")."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and what is ignored stays so (execve(2))
    try:
        os.execve(argv[0], [*argv], dict(environment))
    except OSError as error:
        raise StepFailed("program.unusable", f"{argv[0]} cannot be started: {error.strerror}.") from error


def _too_long(argv: Sequence[str], deadline: float, *, whole: bool = False) -> DeadlineExceeded:
    became = ", and goes on: what it changes must not be torn" if whole else " and was killed"
    return DeadlineExceeded("program.deadline", f"{' '.join(argv)} did not end within {deadline:g} s{became}.")


def _spoken(child: subprocess.Popen[str]) -> Iterator[tuple[int, bytes]]:
    """What `child` says until it closes both streams: (1 or 2, data), or nothing on stdout after a while of silence."""
    assert child.stdin is not None
    assert child.stdout is not None
    assert child.stderr is not None
    child.stdin.close()
    child.stdin = None  # what ends it would flush it
    streams = {child.stdout.fileno(): 1, child.stderr.fileno(): 2}
    poller = select.poll()
    for fd in streams:
        poller.register(fd, select.POLLIN)
    while streams:
        for fd, _ in poller.poll(LISTEN * 1000) or ((-1, 0),):
            data = b"" if fd < 0 else os.read(fd, 65536)
            if not data and fd >= 0:
                poller.unregister(fd)
                del streams[fd]
            else:
                yield streams.get(fd, 1), data


def fork_detached(work: Callable[[], object], *, keep_fds: tuple[int, ...] = (), log: str = os.devnull) -> int:
    """Run `work` in a process that outlives us, and return its pid. Its stdout and stderr go to the file `log`.

    A fork and no new program: everything is imported already, and a virtual environment that is removed meanwhile
    does no harm. It keeps `keep_fds` open (locks) and nothing else.
    """
    pid = os.fork()
    if pid == 0:
        try:
            os.setsid()
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            close_all_but(*keep_fds)
            output = open_log(log)
            os.dup2(output, 1)
            os.dup2(output, 2)
            work()
        finally:
            os._exit(0)
    return pid


def open_log(path: str) -> int:
    """The file `path` to append to, or nowhere: work is never left undone for want of a log."""
    try:
        return files.open_plain(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    except OSError:
        return os.open(os.devnull, os.O_WRONLY)


def kill_group(child: subprocess.Popen[Any]) -> bool:
    """End `child` and what it started; whether it has ended. A process in D state is left to the kernel."""
    from subprocess import TimeoutExpired

    try:
        os.killpg(child.pid, signal.SIGKILL)
        child.communicate(timeout=KILL_GRACE)
    except (ProcessLookupError, TimeoutExpired) as error:
        _let_go(child)
        return isinstance(error, ProcessLookupError)
    return True


def _let_go(child: subprocess.Popen[Any]) -> None:
    """Hear and await `child` no more, whether it has ended or not."""
    for stream in (child.stdin, child.stdout, child.stderr):
        if stream:
            stream.close()
    child.returncode = child.returncode or -signal.SIGKILL


@frozen
class ChildReport:
    """How a forked child ended: `pid` still runs when `stuck`."""

    pid: int
    stuck: bool
    data: bytes = b""
    errno: int = 0


def in_child(work: Callable[[], bytes], *, deadline: float, keep_fds: tuple[int, ...] = ()) -> ChildReport:
    """Run `work` in a fully detached forked child and return what it gave within `deadline` seconds.

    For kernel reads and writes that may never return (device_lock): SIGKILL does not help against those, so a child
    that misses the deadline is left alone and reported as stuck. `work` may raise OSError; its errno is reported.
    """
    return in_children((work,), deadline=deadline, keep_fds=keep_fds)[0]


def in_children(
    works: Sequence[Callable[[], bytes]], *, deadline: float, keep_fds: tuple[int, ...] = ()
) -> tuple[ChildReport, ...]:
    """The same for each of `works`, in a child each, all at once; `deadline` is for all together."""
    end = time.monotonic() + deadline
    started = [_start_child(work, keep_fds) for work in works]
    try:
        return tuple(_listen(pid, reading, end) for pid, reading in started)
    finally:
        for _, reading in started:
            os.close(reading)


def _start_child(work: Callable[[], bytes], keep_fds: tuple[int, ...]) -> tuple[int, int]:
    """The pid of a child that does `work`, and where it answers."""
    reading, writing = os.pipe2(os.O_CLOEXEC)
    pid = os.fork()
    if pid == 0:
        be_child(
            lambda: os.write(writing, b"\0" + work()), lambda error: os.write(writing, _told(error)), writing, *keep_fds
        )
    os.close(writing)
    return pid, reading


def _told(error: Exception) -> bytes:
    """What `_report` reads."""
    if isinstance(error, OSError):
        return b"\1" + str(error.errno or 0).encode()
    return b"\2" + f"{type(error).__name__}: {error}".encode(errors="replace")


def _listen(pid: int, reading: int, end: float) -> ChildReport:
    """Wait for the child's end of the pipe to close; that is also when its work has returned."""
    chunks: list[bytes] = []
    poller = select.poll()
    poller.register(reading, select.POLLIN)
    while poller.poll(max(0.0, end - time.monotonic()) * 1000):
        if not (chunk := os.read(reading, 65536)):
            os.waitpid(pid, 0)
            return _report(pid, b"".join(chunks))
        chunks.append(chunk)
    return ChildReport(pid, stuck=True)


def _report(pid: int, said: bytes) -> ChildReport:
    if said[:1] == b"\1":
        return ChildReport(pid, stuck=False, errno=int(said[1:]))
    if said[:1] != b"\0":
        raise RuntimeError(f"a child failed: {said[1:].decode(errors='replace') or 'it was killed'}")
    return ChildReport(pid, stuck=False, data=said[1:])
