"""The kit's entry, with every program replaced by `true`: each is run, and what it says was recorded before.

python -I replay.py FILE --root ROOT hook …: records into FILE when it is not there, else answers from it.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Sequence

from vfioctl.entry import dispatch, end, prepare_process

prepare_process()  # before the hook's own imports, as its entry does
from vfioctl.compose import Composition  # noqa: E402
from vfioctl.frozen import replace  # noqa: E402
from vfioctl.proc import Completed, Programs  # noqa: E402
from vfioctl.testing.entry import composition  # noqa: E402

TRUE = "/bin/true"
MOMENT = re.compile(r"\b\d{9,}$")  # nanoseconds


def key(argv: Sequence[str]) -> tuple[str, ...]:
    """`argv` without the moment at which an attempt began: it names the dead-man's unit."""
    return tuple(MOMENT.sub("", word) for word in argv)


class Recording(Programs):
    """Runs the programs, and writes down what each said."""

    def __init__(self, file: str, plain: Programs) -> None:
        super().__init__(plain.path, keep_fds=plain.keep_fds, writer=plain.writer)
        self.file = file

    def holding(self, *fds: int) -> Recording:
        return type(self)(self.file, super().holding(*fds))

    def run(self, argv: Sequence[str], *, deadline: float, stdin: str = "") -> Completed:
        ended = super().run(argv, deadline=deadline, stdin=stdin)
        with open(self.file, "a", encoding="utf-8") as file:
            file.write(json.dumps([list(argv), ended.returncode, ended.stdout, ended.stderr]) + "\n")
        return ended


class Replaying(Recording):
    """Runs `true` instead, and says what was recorded."""

    def run(self, argv: Sequence[str], *, deadline: float, stdin: str = "") -> Completed:
        ended = Programs.run(self, [TRUE], deadline=deadline, stdin=stdin)
        with open(self.file, encoding="utf-8") as file:
            said = {key(known): answer for known, *answer in map(json.loads, file)}
        return Completed(tuple(argv), *said[key(argv)], ended.duration)


def composed(file: str, root: str) -> Composition:
    plain = composition(root)
    form = Replaying if os.path.exists(file) else Recording
    return replace(plain, programs=form(file, plain.programs))


if __name__ == "__main__":
    answers, _, machine, *command = sys.argv[1:]
    end(command, dispatch(composed(answers, machine), command))
