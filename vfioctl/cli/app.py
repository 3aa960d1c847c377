"""The command line as a whole: the root group, what its commands share, `main`. Imports no command and no engine."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING

import click

from vfioctl import stdio
from vfioctl.actions.caller import Call, Caller
from vfioctl.actions.errors import Interrupted, os_failure
from vfioctl.cli.lazy import LazyGroup
from vfioctl.cli.options import FORMAT, FORMATS, shared_options
from vfioctl.errors import EXIT_FAILED, EXIT_USAGE, VfioctlError
from vfioctl.frozen import replace
from vfioctl.verbs.row import Row, Verbs
from vfioctl.verbs.table import BUILT_IN

if TYPE_CHECKING:
    from vfioctl.actions.caller import Query
    from vfioctl.cli.render.output import Output
    from vfioctl.compose import Composition
    from vfioctl.result import Error, Result

PROGRAM = "vfioctl"
VERSION = Row("version", "Show the version.", "", "vfioctl.cli.render.general:version")  # what --version shows
COMPLETING = "_VFIOCTL_COMPLETE"  # a shell asks what to offer
BEFORE = "Interrupted before anything was done."
MODULE_ARGUMENT = 3  # python -I -m MODULE


class App(Call):
    """The call of a verb from a terminal: how to show things, and a person who may be there to be asked."""

    def __init__(self, composition: Composition, environ: Mapping[str, str]) -> None:
        caller = Caller(os.geteuid(), environment=environ, tell=self._tell, ask=self._ask, reply=self._reply,
                        present=self._is_attended, stdin=_read_stdin, state=_own_state(environ), alone=True)
        super().__init__(composition, caller)
        self.environ = environ
        self.format = FORMATS[0]
        self.color = _wanted_color(environ)
        self.unread = ""  # why `verbs` may lack some of the plugins

    def use_root(self, root: str) -> None:
        """Work on the host below the directory `root`, whose programs are run: Refused("root.writable") to root."""
        from vfioctl.compose import compose
        from vfioctl.ownership import secure_root
        from vfioctl.paths import Paths

        if os.geteuid() == 0:
            secure_root(Paths(root))
        self.composition = compose(root, self.composition.self_argv[MODULE_ARGUMENT])
        self.__dict__.pop("verbs", None)

    @cached_property
    def verbs(self) -> Verbs:
        """The built-in verbs and, after them, what plugins add under names that are still free."""
        from vfioctl.verbs.listed import read
        from vfioctl.verbs.merged import merged

        listed = read(self.composition.paths, self.composition.programs.silent)
        self.unread = listed.unread
        return merged(BUILT_IN, listed.rows, listed.groups)[0]

    @cached_property
    def found(self) -> Verbs:
        """As `verbs`, with what the manifest does not list as there is none yet, or an old one. Writes nothing."""
        from vfioctl.plugin import manifest
        from vfioctl.verbs.judged import verbs_of

        here = self.composition
        try:
            found = manifest.isolated(here.programs, here.interpreter) if self.administers else manifest.build()
        except VfioctlError:  # then there is no such command
            return self.verbs
        return verbs_of(found)[0]

    def begin(self, row: Row) -> None:
        """Hear that the verb of `row` is run now. Raises Unanswered where our records are on a share that hangs."""
        self.verb = row.name
        self.need_answers()

    def _tell(self, line: str) -> None:
        self.output().line(line)

    def _ask(self, question: str) -> bool | None:
        """The answer of the person at the terminal; None where there is none. Raises Interrupted at ^C."""
        if not self._is_attended():
            return None
        try:
            return click.confirm(question, default=False)
        except click.Abort:
            raise Interrupted(BEFORE) from None

    def _reply(self, query: Query) -> str | None:
        """What the person at the terminal chooses; None where there is none. Raises Interrupted at ^C."""
        if not self._is_attended():
            return None
        for line in query.lines:
            self._tell(line)
        kind = click.Choice(query.choices) if query.choices else None
        try:
            return str(click.prompt(query.text, default=query.default, type=kind))
        except click.Abort:
            raise Interrupted(BEFORE) from None

    def _is_attended(self) -> bool:
        return self.format == FORMATS[0] and sys.stdin.isatty() and sys.stdout.isatty()

    def output(self) -> Output:
        """Where results and live lines go, in the format that is known by now."""
        output = self._output
        output.form, output.color = self.format, self.color
        return output

    @cached_property
    def _output(self) -> Output:
        """One for all that is shown: it knows what was lost. Rendering is imported only now."""
        from vfioctl.cli.render.output import Output

        columns = self.environ.get("COLUMNS", "")
        width = int(columns) if columns.isdecimal() else None
        return Output(self.format, sys.stdout, sys.stderr, color=self.color, width=width or None)


def _own_state(environ: Mapping[str, str]) -> str:
    """Where a user keeps what outlives a program (XDG base directories); "" for one without a home."""
    home = environ.get("HOME", "")
    base = environ.get("XDG_STATE_HOME") or (os.path.join(home, ".local/state") if home else "")
    return os.path.join(base, "vfioctl") if os.path.isabs(base) else ""


def _read_stdin(most: int) -> bytes:
    return sys.stdin.buffer.read(most)


def _wanted_color(environ: Mapping[str, str]) -> bool | None:
    """NO_COLOR (no-color.org) and a terminal that knows none: never; FORCE_COLOR: also in a pipe; else None."""
    if environ.get("NO_COLOR") or environ.get("TERM") == "dumb":
        return False
    return True if environ.get("FORCE_COLOR") else None


def _show_version(ctx: click.Context, _: click.Parameter, value: bool) -> None:  # noqa: FBT001 -- click's signature
    if value and not ctx.resilient_parsing:
        from vfioctl import __version__
        from vfioctl.result import Result

        shown = Result("version", {"version": __version__})
        ctx.exit(_shown(ctx.obj.output(), shown, VERSION))


def root_group() -> LazyGroup:
    """The root command."""
    version = click.Option(
        ["--version"], is_flag=True, is_eager=True, expose_value=False, callback=_show_version,
        help="Show the version and exit.",
    )  # fmt: skip
    return LazyGroup(
        PROGRAM,
        params=[*shared_options(), version],
        help="Hand GPUs and other devices from this host to its libvirt guests and back, as a transaction.",
        epilog="Exit status: 0 done, 1 failed, 2 wrong usage, 3 refused with nothing touched, 4 a device is stuck, "
        "77 not root.",
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )


def main(composition: Composition, argv: Sequence[str], environ: Mapping[str, str] | None = None) -> int:
    """Run the command line `argv` (without the program's name), show its result and return its exit status.

    Foreseen failures are rendered here, since only this knows the format; a bug keeps its traceback and goes on up.
    """
    app = App(composition, os.environ if environ is None else environ)
    ended = answer(app, argv)
    if isinstance(ended, int):
        return ended
    from vfioctl.verbs.hints import in_our_words  # a completion gives no result

    ended = in_our_words(ended, app.paths.root, lambda: app.verbs)
    return _shown(app.output(), ended, app.verbs.find(ended.command))


def _shown(output: Output, result: Result, row: Row | None) -> int:
    """Show `result`; the exit status, which is a failure when a full disk has lost what there was to show."""
    output.result(result, row)
    if output.lost is None:
        return result.exit_status
    output.error(_lost(output.lost))
    return result.exit_status or EXIT_FAILED


def _lost(error: OSError) -> Error:
    from vfioctl.result import Error

    why = error.strerror or type(error).__name__
    return Error("output.lost", f"The output could not be written: {why}.", state="What the command does is done.")


def answer(app: App, argv: Sequence[str]) -> Result | int:
    """What the command line `argv` gives back; a plugin's command may print by itself and give only its status."""
    _guess_format(app, argv)
    if COMPLETING in os.environ:  # where click looks for it
        from vfioctl.cli.shells import register

        register()
    app.typed = tuple(argv)
    try:
        ended = root_group().main(args=list(argv), prog_name=PROGRAM, standalone_mode=False, obj=app) or 0
        return ended if isinstance(ended, int) else _carried_out(app, replace(ended, command=app.verb))
    except VfioctlError as error:
        return _failed(app, error)
    except click.exceptions.NoArgsIsHelpError as error:
        app.output().show(error.format_message().split("\n"))
        return _failed(app, _usage(app, click.UsageError("A command is missing.", error.ctx)))
    except click.ClickException as error:
        return _failed(app, _usage(app, error))
    except OSError as error:
        return _failed(app, os_failure(error)) if app.verb else _unwritten_help(app, error)
    except (click.Abort, KeyboardInterrupt):
        return _failed(app, Interrupted())


def _carried_out(app: App, ended: Result) -> Result:
    """`ended`, after its session with the terminal where it has one; JSON has only what describes it."""
    if ended.session is None or app.format != FORMATS[0]:
        return ended
    from vfioctl.cli.sessions.carry import carried_out

    return carried_out(ended, ended.session, app.environ)


def _failed(app: App, error: VfioctlError) -> Result:
    from vfioctl.result import failed

    return failed(app.verb, error)


def _usage(app: App, error: click.ClickException) -> VfioctlError:
    from vfioctl.cli.advice import advised  # only when something is already wrong

    error = advised(error, app.typed, lambda: app.found)
    command = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else PROGRAM
    app.verb = command.partition(" ")[2]
    wrong = VfioctlError("usage", error.format_message(), hints=(f"See: {command} --help",))
    wrong.exit_status = EXIT_USAGE if isinstance(error, click.UsageError) else EXIT_FAILED
    return wrong


def _unwritten_help(app: App, error: OSError) -> int:
    """No command was run yet, so it was help or a version that could not be written."""
    output = app.output()
    output.error(_lost(error))
    stdio.discard(output.stdout.fileno())
    return EXIT_FAILED


def _guess_format(app: App, argv: Sequence[str]) -> None:
    """A wrong command line is answered in the format that it asks for, although it cannot be parsed.

    What stands behind `--` is for another program.
    """
    ours = argv[: argv.index("--")] if "--" in argv else argv
    asked = [word.partition("=")[2] for word in ours if word.startswith("--format=")]
    asked += [word for option, word in pairwise(ours) if option == "--format"]
    if (asked or [app.environ.get(FORMAT, "")])[-1] == "json":
        app.format = "json"
