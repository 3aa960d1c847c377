"""The man pages, in man(7) macros: one of the program and one of each group of commands. Writes no file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from vfioctl import __version__
from vfioctl.cli.app import PROGRAM
from vfioctl.cli.reference import DESCRIPTION, ENVIRONMENT, EXIT_STATUSES, FILES, Verb, verbs
from vfioctl.verbs.row import Group, Verbs

MADE = '.\\" Generated from the commands: pytest tests/contract/test_cli_reference.py --regenerate'
SUMMARY = "hand GPUs and other devices from a Linux host to its libvirt guests and back"
ELSEWHERE = "Exit status, environment and files are those of vfioctl(1)."
TOLD = "Every command takes --format text|json and --no-color."


def pages(listed: Verbs) -> dict[str, str]:
    """Each page by its name, "vfioctl" and "vfioctl-gpu", of the verbs that are `listed`."""
    groups = tuple(entry for entry in listed.below() if isinstance(entry, Group))
    every = tuple(verbs(listed))
    alone = tuple(verb for verb in every if not any(_is_of(verb, group) for group in groups))
    return {PROGRAM: _main(alone, groups), **{page_name(group): _group(group, every) for group in groups}}


def page_name(group: Group) -> str:
    """The name of the page of a group, without its section."""
    return f"{PROGRAM}-{group.name}"


def _is_of(verb: Verb, group: Group) -> bool:
    return verb.name.startswith(f"{PROGRAM} {group.name} ")


def _main(alone: Iterable[Verb], groups: Iterable[Group]) -> str:
    lines = [*_head(PROGRAM, SUMMARY), ".B vfioctl", _roff("[--format text|json] [--no-color] COMMAND [ARGS]...")]
    lines += [".SH DESCRIPTION", _roff(DESCRIPTION), ".SH COMMANDS", *_commands(alone), ".SH GROUPS OF COMMANDS"]
    for group in groups:
        lines += [".TP", f".BR {_roff(page_name(group))} (1)", _roff(group.help)]
    lines += _pairs("EXIT STATUS", ((str(status), text) for status, text in EXIT_STATUSES))
    lines += [*_pairs("ENVIRONMENT", ENVIRONMENT), *_pairs("FILES", FILES)]
    return _text([*lines, ".SH SEE ALSO", ".BR virsh (1),", ".BR libvirtd (8)"])


def _group(group: Group, every: Iterable[Verb]) -> str:
    own = tuple(verb for verb in every if _is_of(verb, group))
    lines = [*_head(page_name(group), _summary(group.help)), ".nf"]
    lines += [f"\\fB{_roff(verb.name)}\\fR{_roff(verb.usage.removeprefix(verb.name).rstrip())}" for verb in own]
    lines += [".fi", ".SH DESCRIPTION", _roff(f"{group.help} {TOLD} {ELSEWHERE}"), ".SH COMMANDS", *_commands(own)]
    return _text([*lines, ".SH SEE ALSO", f".BR {PROGRAM} (1)"])


def _head(name: str, summary: str) -> list[str]:
    """Title, name and the beginning of the synopsis; apropos(1) reads the line of the name."""
    return [MADE, f'.TH {_roff(name.upper())} 1 "" "vfioctl {__version__}" "User Commands"',
            ".SH NAME", f"{_roff(name)} \\- {_roff(summary)}", ".SH SYNOPSIS"]  # fmt: skip


def _summary(text: str) -> str:
    return (text[:1].lower() + text[1:]).rstrip(".")


def _commands(shown: Iterable[Verb]) -> Iterator[str]:
    for verb in shown:
        yield f".SS {_roff(verb.usage.strip())}"
        yield from _paragraphs(verb.paragraphs)
        for option, text in verb.options:
            yield from (".TP", f".B {_roff(option)}", _roff(text))


def _paragraphs(paragraphs: tuple[str, ...]) -> Iterator[str]:
    for number, text in enumerate(paragraphs):
        if number:
            yield ".PP"
        yield _roff(text)


def _pairs(title: str, pairs: Iterable[tuple[str, str]]) -> list[str]:
    lines = [f".SH {title}"]
    for name, text in pairs:
        lines += [".TP", f".B {_roff(name)}", _roff(text)]
    return lines


def _text(lines: Iterable[str]) -> str:
    return "\n".join(lines) + "\n"


def _roff(text: str) -> str:
    """`text` with what roff would obey made plain."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq")
    return f"\\&{escaped}" if escaped.startswith(".") else escaped
