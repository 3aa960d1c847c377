"""`vfioctl hook install`: puts the hook, the unit and the manifest in place."""

from __future__ import annotations

import click

from vfioctl.cli.app import App
from vfioctl.cli.result import Message, Result


@click.command()
@click.pass_obj
def command(app: App) -> Result:
    """Install the libvirt hook, the recovery unit and the plugin manifest.

    The unit finishes at boot what a power loss interrupted. Other hooks are not touched.
    Run it again after an update of Python or of vfioctl.
    """
    from vfioctl.plugin.manifest import isolated
    from vfioctl.setup.install import install

    app.need_root()
    here = app.composition
    report = install(here, lambda: isolated(here.programs, here.interpreter))
    messages = [Message(note, "warning") for note in report.notes]
    if report.restart:
        text = "The running daemon looks for hooks only when it starts. Running guests live through its restart:"
        messages.append(Message(text, "warning", "hook.daemon_older", report.restart))
    data = {"hook": report.hook, "changed": list(report.changed), "kept": [], "restart": report.restart}
    return Result(data=data, messages=tuple(messages))
