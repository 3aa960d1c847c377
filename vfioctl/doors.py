"""Calls a verb by its name for any door: parses no argv, prints nothing, looks at no terminal, environment or euid.

What a verb does lies in its command, what there is in the rows of `verbs`. Imports click only when a verb is called.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from vfioctl.actions.caller import Call
from vfioctl.actions.errors import Misuse, Unconfirmed, os_failure
from vfioctl.errors import EXIT_USAGE, Refused, VfioctlError
from vfioctl.frozen import replace
from vfioctl.result import Message, failed
from vfioctl.unknown import no_such, suggestion
from vfioctl.verbs.hints import in_our_words
from vfioctl.verbs.listed import read
from vfioctl.verbs.merged import merged
from vfioctl.verbs.table import BUILT_IN

if TYPE_CHECKING:
    import click

    from vfioctl.actions.caller import Caller
    from vfioctl.compose import Composition
    from vfioctl.result import Result
    from vfioctl.verbs.row import Row, Verbs


def call(
    node: Composition, verb: str, parameters: Mapping[str, Any], caller: Caller, agreed: Iterable[str] = ()
) -> Result:
    """The result of `verb` ("gpu list"), called on `node` with its parameters by name, as `verb list` gives them.

    What was foreseen comes back as an error of the result, with its code and exit status: a verb that there is not
    ("verb.unknown"), a wrong parameter ("usage"), a caller without the right ("not_root"). A question that was not
    answered is an error or a message with a code; the caller agrees by calling again with that code in `agreed`. A bug
    is raised.

    Verbs that change something look at `caller.uid`. What only reads sees what this process may see: a door that runs
    as root decides itself who may ask for a verb whose effect is "read".
    """
    asked = Call(node, replace(caller, agreed=caller.agreed | set(agreed)), verb)
    return in_our_words(_called(node, parameters, asked), node.paths.root, lambda: _verbs(node))


def _called(node: Composition, parameters: Mapping[str, Any], asked: Call) -> Result:
    verb = asked.verb
    try:
        return replace(_run(_row(node, verb), parameters, asked), command=verb)
    except Unconfirmed as question:
        return failed(verb, question).saying(*map(Message, question.lines))
    except VfioctlError as error:
        return failed(verb, error)
    except OSError as error:
        return failed(verb, os_failure(error))


def _row(node: Composition, verb: str) -> Row:
    """Raises Refused: "verb.unknown", and "verb.terminal" for what only a terminal can do."""
    verbs = _verbs(node)
    known = {row.name: row for row in verbs.rows if row.is_open}
    found = verbs.find(verb)
    if found and found.terminal:
        raise Refused(
            "verb.terminal", f"{verb!r} needs a terminal, and no other door has one.", state="Nothing was done.",
            hints=(f"Call it on a terminal: vfioctl {verb}",),
        )  # fmt: skip
    if verb not in known:
        unknown = no_such("verb.unknown", f"There is no verb {verb!r}", verb, known, "The verbs")
        unknown.exit_status = EXIT_USAGE
        raise unknown
    return known[verb]


def _verbs(node: Composition) -> Verbs:
    listed = read(node.paths, node.programs.silent)
    return merged(BUILT_IN, listed.rows, listed.groups)[0]


def _run(row: Row, parameters: Mapping[str, Any], asked: Call) -> Result:
    """The body of the verb, called with what click's types made of `parameters`."""
    import click

    from vfioctl.verbs.load import given_back, load

    asked.need_answers()
    command = load(row)
    ctx = click.Context(command, info_name=row.name, obj=asked)
    try:
        with ctx:
            return given_back(row, partial(_ended, ctx, asked, parameters))
    except click.ClickException as error:
        if isinstance(error, click.BadParameter) and error.param:
            error.param_hint = repr(error.param.name)  # a door knows it by this name, not by its flag
        raise Misuse(row.name, error.format_message()) from error


def _ended(ctx: click.Context, asked: Call, parameters: Mapping[str, Any]) -> object:
    """What the body gives back, whatever it is."""
    from vfioctl.verbs.typed import typed

    _judge(ctx, parameters)
    asked.typed = typed(asked.verb, ctx.command, parameters)
    return ctx.invoke(ctx.command.callback, **ctx.params) if ctx.command.callback else None


# ---------------------------------------------------------------- parameters


def _judge(ctx: click.Context, given: Mapping[str, Any]) -> None:
    """Fill `ctx.params`, defaults included. Raises Misuse, click.UsageError: each names the parameter."""
    params = [(param.name, param) for param in ctx.command.params if param.expose_value and param.name]
    names = tuple(dict.fromkeys(name for name, _ in params))
    for name in given:
        if name not in names:
            near = suggestion(name, names) or "."
            raise Misuse(ctx.command_path, f"There is no parameter {name!r}{near}")
    for name, param in params:  # flags may share a name: the default is that of the one that has one
        if ctx.params.get(name) is None:
            ctx.params[name] = _value(ctx, param, given.get(name))


def _value(ctx: click.Context, param: click.Parameter, value: Any) -> Any:
    """What click makes of `value`, or of the default where it is None. Never asks, and looks up no environment."""
    import click

    typed = param.get_default(ctx) if value is None else _typed(ctx, param, value)
    if param.value_is_missing(typed):  # click has a mark of its own for a default that there is not
        typed = None
    if param.required and typed is None:
        raise click.MissingParameter(ctx=ctx, param=param)
    cast = param.type_cast_value(ctx, typed)
    return param.callback(ctx, param, cast) if param.callback else cast


def _typed(ctx: click.Context, param: click.Parameter, value: Any) -> Any:
    """`value` as somebody would have typed it: click judges words, and would cut 1.5 down to an integer."""
    import click

    depth = (param.nargs != 1) + bool(getattr(param, "multiple", False))
    if not depth and isinstance(value, bool) and isinstance(param.type, click.types.BoolParamType):
        return value
    if not _is_typable(value, depth):
        expected = f"a list of {'lists of ' * (depth - 1)}values" if depth else param.type.name
        raise click.BadParameter(f"expected {expected}, found {value!r}.", ctx, param)
    return _words(value)


def _is_typable(value: object, depth: int) -> bool:
    """Whether it is a word that a command line can have, or lists of them, `depth` deep."""
    if depth:
        return isinstance(value, list | tuple) and all(_is_typable(one, depth - 1) for one in value)
    return isinstance(value, str | int | float) and not isinstance(value, bool) and _is_argument(str(value))


def _is_argument(word: str) -> bool:
    """No argument has a NUL (execve(2)); bytes that are no UTF-8 come as surrogates, which no other text has."""
    try:
        return b"\0" not in word.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False


def _words(value: Any) -> Any:
    return tuple(map(_words, value)) if isinstance(value, list | tuple) else str(value)
