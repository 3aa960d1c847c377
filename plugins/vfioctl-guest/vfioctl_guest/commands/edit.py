"""`vfioctl guest edit`: the configuration of a guest in an editor. It is checked, shown, asked about, then defined."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from vfioctl.plugin import (
    Finding,
    Message,
    Question,
    Refused,
    Result,
    VfioctlError,
    argument,
    asking,
    changing,
    content_name,
    frozen,
    guest_names,
    open_plain,
    read_guests,
    replace,
)
from vfioctl_guest.drawer import EDITED, FORMER, PRESENT, Drawer
from vfioctl_guest.edited import CODE, check_edited, difference, findings_of_devices, is_same, new_disks
from vfioctl_guest.life import PAUSED, RUNNING, Doing, find, must_not_be_saved, nothing_to_do, perform, step
from vfioctl_guest.names import NOTHING_CHANGED
from vfioctl_guest.sources import in_use

if TYPE_CHECKING:
    from vfioctl.plugin import Call, Connection, StepProposal
    from vfioctl_guest.life import Subject

EDIT = "guest.unconfirmed_edit"  # what is asked
LARGEST = 4 << 20  # characters


@frozen
class Typed:
    """What was typed for a guest of `node`, and the file that it is in."""

    about: Subject
    node: str
    text: str
    file: str
    kept: bool = False  # the file is ours, of an editor: the command line did not name it

    @property
    def more(self) -> tuple[str, ...]:
        """What the command line lacks that defines it."""
        return ("--file", self.file) if self.kept else ()

    @property
    def again(self) -> str:
        """How the same is defined."""
        return _defining(self.about, self.file)


@click.command()
@click.argument("name", shell_complete=guest_names)
@click.option("--file", type=click.Path(dir_okay=False), metavar="FILE", help="Take FILE for what an editor has made.")
@asking
@changing
@click.pass_obj
def edit(call: Call, name: str, node: str, *, file: str | None, yes: bool, dry_run: bool) -> Result:
    """Open the configuration of the guest NAME in your editor ($VISUAL or $EDITOR), and define what comes back.

    It is checked, and the difference is shown, before it is defined; a running guest has it from its next start on.
    What is wrong, or was not agreed to, is kept in a file that is named. So is the configuration as it was.
    """
    if yes:
        call.agree(EDIT)
    about = _editable(call, name, node)
    if file:
        return _defined(call, Typed(about, node, _content(file), file), dry_run=dry_run)
    return _of_editor(call, about, node, dry_run=dry_run)


def _editable(call: Call, name: str, node: str) -> Subject:
    """Raises Refused("guest.saved", "guest.transient")."""
    with call.connection(node) as connection:
        about = find(call, connection, name)
    must_not_be_saved(about)
    if not about.guest.persistent:
        said = f"Guest {about.name} has no configuration that stays."
        raise Refused("guest.transient", said, state=NOTHING_CHANGED, hints=("Define it with: virsh define",))
    return about


def _content(path: str) -> str:
    """Raises Refused("guest.edit")."""
    try:
        with open(open_plain(path, follow=True), encoding="utf-8") as file:
            return file.read(LARGEST)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
        raise Refused(CODE, f"{path} cannot be read: {why}.", state=NOTHING_CHANGED) from error


def _edited(xml: str) -> str:
    """What the editor has saved, "" for nothing. Raises Refused("guest.edit") where there is none, or it failed."""
    try:
        return click.edit(xml, extension=".xml", require_save=True) or ""
    except click.ClickException as error:
        raise Refused(
            CODE, f"The editor did not do its work: {error.message}.", state=NOTHING_CHANGED,
            hints=("Name another one in $EDITOR, or give a file with --file.",),
        ) from error  # fmt: skip


def _of_editor(call: Call, about: Subject, node: str, *, dry_run: bool) -> Result:
    """The same with what is nowhere else: it is kept until it is defined."""
    drawer = _drawer(call, about)  # who has none is refused before anything is typed
    text = _edited(about.guest.xml)
    if not text:
        return _unchanged(about)
    typed = Typed(about, node, text, drawer.keep(EDITED, text), kept=True)
    try:
        result = _defined(call, typed, dry_run=dry_run)
    except VfioctlError as error:
        error.hints = (*error.hints, f"What you typed is kept in {typed.file}; define it with: {typed.again}")
        raise
    if result.exit_status or dry_run:
        return result.saying(Message(f"What you typed is kept in {typed.file}.", hint=f"Define it with: {typed.again}"))
    drawer.drop(EDITED)
    return result


def _defined(call: Call, typed: Typed, *, dry_run: bool) -> Result:
    """Raises Refused for what speaks against it, also that it was not agreed to."""
    about, text, former = typed.about, typed.text, typed.about.guest.xml
    check_edited(about.name, about.guest.uuid, text)
    if is_same(former, text):
        return _unchanged(about)
    with call.connection(typed.node) as connection:
        _must_be_as_it_was(call, connection, about)
        findings = tuple(_findings(call, connection, about, text))
    diff = difference(about.name, former, text)
    contents = {content_name(one.encode()): one.encode() for one in (former, text)}
    old, new = contents
    more = {"live": True} if _runs(about) else {}
    defined = step(about, "domain.define", "it was edited so", blob=new, former=old, judged=True, **more)
    question = Question(EDIT, (*diff.splitlines(), _outcome(about)), typed.more)
    how = Doing("edit", dry_run, question, findings, contents)
    result, kept = _performed(call, about, defined, how)
    result = replace(result, data={**result.data, "diff": diff, "kept": kept})
    return result.saying(Message(f"Its former configuration is kept in {kept}.",
                                 hint=f"Put it back with: {_defining(about, kept)}")) if kept else result  # fmt: skip


def _performed(call: Call, about: Subject, change: StepProposal, how: Doing) -> tuple[Result, str]:
    """The result, and where the former configuration is kept; "" where nothing was defined.

    That of the edit before stays until then: it may be what is being defined.
    """
    if how.dry_run:
        return perform(call, about, (change,), how), ""
    drawer = _drawer(call, about)
    drawer.keep(PRESENT, about.guest.xml)
    try:
        result = perform(call, about, (change,), how)
        return result, "" if result.exit_status else drawer.rename(PRESENT, FORMER)
    finally:
        with suppress(FileNotFoundError):
            drawer.drop(PRESENT)


def _drawer(call: Call, about: Subject) -> Drawer:
    return Drawer(call, about.name, "" if about.local else about.node)


def _defining(about: Subject, path: str) -> str:
    return f"vfioctl guest edit {about.called} --file {argument(path)}"


def _unchanged(about: Subject) -> Result:
    result = nothing_to_do(about, "is unchanged")
    return replace(result, data={**result.data, "diff": "", "kept": ""})


def _runs(about: Subject) -> bool:
    return about.guest.state in (RUNNING, PAUSED)


def _outcome(about: Subject) -> str:
    return f"Guest {about.name} is configured so{' from its next start on' if _runs(about) else ''}."


def _must_be_as_it_was(call: Call, connection: Connection, about: Subject) -> None:
    """Raise Refused("domain.changed"): an editor may be open for hours."""
    if find(call, connection, about.guest.uuid).guest.xml != about.guest.xml:
        said = f"The configuration of guest {about.name} was changed while you edited it."
        raise Refused("domain.changed", said, state=NOTHING_CHANGED)


def _findings(call: Call, connection: Connection, about: Subject, text: str) -> Iterator[Finding]:
    """What is given to somebody else already."""
    former = about.guest.xml
    for disk, shared in new_disks(former, text):
        yield from in_use(call, connection, about, disk, readonly=shared)
    others = [one for one in read_guests(connection) if one.uuid != about.guest.uuid]
    yield from findings_of_devices(former, text, ((one.name, xml) for one in others for xml in (one.xml, one.live_xml)))
