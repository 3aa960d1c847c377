"""The command line as data, and as docs/reference/cli.md; both from what click knows. Writes no file."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import click

from vfioctl import guard
from vfioctl.cli.app import PROGRAM, root_group
from vfioctl.cli.lazy import made
from vfioctl.cli.options import shared_options
from vfioctl.errors import VfioctlError
from vfioctl.frozen import frozen
from vfioctl.log import MAX_BYTES, ROTATIONS
from vfioctl.txn.history import KEEP
from vfioctl.verbs.row import Group, Row, Verbs, last_word
from vfioctl.verbs.table import BUILT_IN

EXIT_STATUSES = (
    (0, "Done."),
    (1, "It failed; the message says how far it came and how the host stands now."),
    (2, "The command line is wrong."),
    (3, "Refused: something was found before anything was touched."),
    (4, "A device is stuck in the kernel."),
    (77, "The command needs root."),
    (129, "Ended by SIGHUP, as when its terminal goes."),
    (130, "Interrupted."),
    (143, "Ended by SIGTERM."),
)
DESCRIPTION = (
    "A guest starts: the desktop lets go of the card, the card moves to vfio-pci, the guest gets it. The guest stops: "
    "the card goes home, the desktop comes back. Each hand-off is planned, checked before anything is touched, "
    "journalled, undone on failure, and finished after a crash. Every command takes --format and --no-color, before or "
    "after its name."
)
FILES = (
    ("/etc/vfioctl/config.toml", "Settings of the host."),
    ("/etc/vfioctl/guests/GUEST.toml", "A managed guest; may be empty."),
    ("/etc/vfioctl/nodes/NODE.toml", "A host whose libvirt is asked from here."),
    ("/run/vfioctl", "What is given now: journals, markers, locks. Gone after a reboot."),
    (
        "/var/lib/vfioctl",
        f"Pinned cards, the {KEEP} newest hand-offs, last outcomes, the manifest of plugins, parts of downloads.",
    ),
    ("/var/log/vfioctl", f"The log; above {MAX_BYTES >> 20} MiB it begins anew, and {ROTATIONS} older files are kept."),
)
ENVIRONMENT = (
    ("NO_COLOR", "When set and not empty: no colour."),
    ("VFIOCTL_FORMAT", "text or json, as --format."),
    ("VFIOCTL_SETTING", "A setting for this command: VFIOCTL_DEADLINES_PREPARE=90. The hook reads no environment."),
)


@frozen
class Verb:
    """One command as it is documented."""

    name: str
    usage: str
    paragraphs: tuple[str, ...]
    options: tuple[tuple[str, str], ...]


def verbs(listed: Verbs = BUILT_IN) -> Iterator[Verb]:
    """Every command in the order of --help; one that cannot be loaded or described has what its row says."""
    root = click.Context(root_group(), info_name=PROGRAM)
    yield from _verbs(listed, "", root)


def _verbs(listed: Verbs, path: str, parent: click.Context) -> Iterator[Verb]:
    for entry in listed.below(path):
        try:
            command = made(entry)
        except VfioctlError:
            yield _bare(entry)
            continue
        ctx = click.Context(command, info_name=last_word(entry), parent=parent)
        if isinstance(entry, Group):
            yield from _verbs(listed, entry.name, ctx)
        elif not entry.hidden:
            yield guard.call(partial(_verb, command, ctx)).value or _bare(entry)


def _bare(entry: Row | Group) -> Verb:
    return Verb(f"{PROGRAM} {entry.name}", f"{PROGRAM} {entry.name}", (entry.help,), ())


def _verb(command: click.Command, ctx: click.Context) -> Verb:
    usage = " ".join([ctx.command_path, *command.collect_usage_pieces(ctx)])
    paragraphs = tuple(" ".join(part.split()) for part in (command.help or "").split("\n\n"))
    shared = {option.name for option in shared_options()}
    own = [param for param in command.params if isinstance(param, click.Option) and param.name not in shared]
    records = (option.get_help_record(ctx) for option in own)
    return Verb(ctx.command_path, usage, paragraphs, tuple(record for record in records if record))


def markdown(listed: Verbs = BUILT_IN) -> str:
    """docs/reference/cli.md, of the verbs that are `listed`."""
    parts = [
        "# Command line",
        "<!-- Generated from the commands: pytest tests/contract/test_cli_reference.py --regenerate -->",
        "Every command takes `--format json` (see [json.md](json.md)) and `--no-color`, before or after its name.",
    ]
    for verb in verbs(listed):
        parts += [f"## {verb.name}", f"```\n{verb.usage}\n```", *verb.paragraphs]
        parts += ["\n".join(f"- `{option}`: {text}" for option, text in verb.options)] if verb.options else []
    parts += ["## Exit status", "\n".join(f"- **{status}**: {text}" for status, text in EXIT_STATUSES)]
    parts += ["## Environment", "\n".join(f"- `{name}`: {text}" for name, text in ENVIRONMENT)]
    parts += ["## Files", "\n".join(f"- `{path}`: {text}" for path, text in FILES)]
    return "\n\n".join(parts) + "\n"
