"""`vfioctl config edit`: a file in the editor, checked before it takes effect."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vfioctl.cli.types import MANAGED

if TYPE_CHECKING:
    from vfioctl.cli.app import App
    from vfioctl.cli.result import Result
    from vfioctl.errors import ConfigError


@click.command()
@click.option("--guest", type=MANAGED, help="The file of this guest; without it the host's file.")
@click.pass_obj
def command(app: App, guest: str | None) -> Result:
    """Open a configuration file in your editor, and keep it only if it is right.

    The editor is $VISUAL or $EDITOR. What is wrong is shown, and the text is kept beside the file under another name.
    """
    from vfioctl import files
    from vfioctl.cli.commands.config.set import prepared
    from vfioctl.cli.result import Message, Result
    from vfioctl.config.edit import check_text, file_of, write_text

    plugins = prepared(app, guest)
    paths = app.composition.paths
    file = file_of(paths, guest)
    before = files.read_text(file, follow=True) or ""
    text = click.edit(before, extension=".toml", require_save=True)
    if text is None or text == before:
        said = Message(f"{file} is unchanged.")
        return Result(data={"file": file, "guest": guest, "changed": False}, messages=(said,))
    if problems := check_text(paths, guest, text, plugins):
        return _rejected(file, guest, text, tuple(problem.error() for problem in problems))
    write_text(paths, guest, text)
    said = Message(f"{file} is changed; takes effect at the next start.")
    return Result(data={"file": file, "guest": guest, "changed": True}, messages=(said,))


def _rejected(file: str, guest: str | None, text: str, problems: tuple[ConfigError, ...]) -> Result:
    """The file stays as it was; what was typed is not lost."""
    from vfioctl import files
    from vfioctl.cli.result import Error, refused

    kept = f"{file}.rejected"
    files.atomic_write(kept, text, mode=files.PRIVATE)
    hints = (f"Your text is kept in {kept}",)
    errors = tuple(Error(error.code, error.message, error.state, hints) for error in problems)
    return refused({"file": file, "guest": guest, "changed": False}, errors)
