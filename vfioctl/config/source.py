"""One configuration file as data with line numbers, and what is wrong with it. Knows TOML, not what settings mean."""

from __future__ import annotations

import os
from collections.abc import Mapping
from errno import EFBIG

from vfioctl import files
from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import ConfigError, Irregular
from vfioctl.frozen import field, frozen
from vfioctl.ownership import secure

if TYPE_CHECKING:
    from typing import Any

SIZE_CAP = 1024 * 1024


@frozen
class Problem:
    """One thing wrong: where (dotted path, file, line), and what was expected instead of what."""

    code: str
    path: str
    file: str
    line: int
    message: str

    def error(self) -> ConfigError:
        where = f"{self.file}:{self.line}" if self.line else self.file
        what = f"{self.path}: {self.message}" if self.path else self.message
        end = "" if what.endswith("?") else "."
        return ConfigError(self.code, f"{where}: {what}{end}", state="Nothing was changed.")


@frozen
class Source:
    """A file that was read: its tables, and the line of each dotted path."""

    file: str
    data: Mapping[str, Any] = field(default_factory=dict)
    lines: Mapping[str, int] = field(default_factory=dict)

    def line(self, path: str) -> int:
        """The line that sets `path`, or of the nearest table around it; 1 when there is none."""
        while path:
            if path in self.lines:
                return self.lines[path]
            path = path.rpartition(".")[0]
        return 1

    def problem(self, code: str, path: str, message: str) -> Problem:
        return Problem(code, path, self.file, self.line(path), message)


def read_source(file: str, root: str) -> Source | Problem:
    """The file `file`, empty when it is absent, or what is wrong with it.

    Raises Refused("config.writable"), ("path.unanswered").
    """
    from vfioctl.reach import must_answer  # what only parses a text reads no file

    must_answer(file)
    try:
        os.lstat(file)
        secure(file, root)
        return parse_source(file, files.read_bytes(file, follow=True, limit=SIZE_CAP))
    except (FileNotFoundError, NotADirectoryError):
        return Source(file)
    except Irregular as error:
        if error.errno == EFBIG:
            return Problem("config.syntax", "", file, 0, f"{error.what}; expected a TOML file")
        return Problem("config.unreadable", "", file, 0, f"cannot be read: {error.what}; expected a TOML file")
    except OSError as error:
        return Problem("config.unreadable", "", file, 0, f"cannot be read: {os.strerror(error.errno or 0)}")


def parse_source(file: str, data: bytes) -> Source | Problem:
    """`data` as the contents of `file`, or what is wrong with it."""
    try:
        text = data.decode()
        if not text.strip():
            return Source(file)
        import tomllib  # the smallest guest file is empty, and this costs the hook path milliseconds

        return Source(file, tomllib.loads(text), key_lines(text))
    except UnicodeDecodeError as error:
        return Problem("config.syntax", "", file, data[: error.start].count(b"\n") + 1, "expected UTF-8 text")
    except RecursionError:
        return Problem("config.syntax", "", file, 1, "expected TOML; brackets are nested too deep")
    except ValueError as error:  # TOMLDecodeError, or a number of more digits than Python reads
        return Problem("config.syntax", "", file, _line_in(str(error), text), f"expected TOML: {_in_words(error)}")


def _in_words(error: ValueError) -> str:
    """What tomllib says; it shows the end of a line as an escape."""
    return str(error).replace("Illegal character '\\n'", "the line ends too early")


def _line_in(message: str, text: str) -> int:
    """The line that tomllib names: "… (at line 3, column 5)" or "(at end of document)"."""
    number = message.rpartition("(at line ")[2].partition(",")[0]
    return int(number) if number.isdecimal() else text.count("\n") + 1


def key_lines(text: str) -> dict[str, int]:
    """The first line of each dotted path in the TOML `text`, by a scan of lines: enough to point at them."""
    lines: dict[str, int] = {}
    table = ""
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if stripped.startswith("["):
            table = _bare(stripped.strip("[").partition("]")[0])
            lines.setdefault(table, number)
        elif "=" in stripped and not stripped.startswith("#"):
            key = _bare(stripped.partition("=")[0])
            lines.setdefault(f"{table}.{key}" if table else key, number)
    return lines


def _bare(key: str) -> str:
    return ".".join(part.strip().strip("\"'") for part in key.split("."))
