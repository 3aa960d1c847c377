"""`vfioctl config edit`: a file in the editor, checked before it takes effect."""

from __future__ import annotations

import click

from vfioctl.actions.caller import Call
from vfioctl.cli.types import MANAGED
from vfioctl.result import Result


@click.command()
@click.option("--guest", type=MANAGED, help="The file of this guest; without it the host's file.")
@click.pass_obj
def command(call: Call, guest: str | None) -> Result:
    """Open a configuration file in your editor, and keep it only if it is right.

    The editor is $VISUAL or $EDITOR. Where your text is wrong, or somebody else has changed the file meanwhile, that is
    said, and the text is kept beside the file under another name.
    """
    from vfioctl.actions.config import put_text, text_of

    before = text_of(call, guest)
    typed = click.edit(before.encode(errors="surrogateescape"), extension=".toml", require_save=True)
    text = None if typed is None else typed.decode("utf-8-sig", "surrogateescape")
    return put_text(call, guest, before, text)
