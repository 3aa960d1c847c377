"""`vfioctl plugins refresh`: search for plugins and write the manifest that the hook reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from vfioctl.cli.app import App
    from vfioctl.cli.result import Result


@click.command()
@click.pass_obj
def command(app: App) -> Result:
    """Search for plugins and write the manifest.

    The hook reads only the manifest. It is written anew by itself when a package was installed or removed. Each plugin
    is registered with pluggy, to say what is wrong with its hooks before a guest is started.
    """
    from vfioctl.cli.commands.plugins.list import rows
    from vfioctl.cli.result import Message, Result
    from vfioctl.config.plugins import disabled
    from vfioctl.plugin import manifest
    from vfioctl.plugin.registration import problem

    app.need_trust()
    paths = app.composition.paths
    built = manifest.isolated(app.composition.programs, app.composition.interpreter)
    manifest.write(paths, built)
    written = Message(f"{paths.manifest} is written.")
    said = tuple(
        Message(f"The plugin {info.name} cannot be registered: {why}", "warning", "plugin.broken")
        for info in built.plugins if info.status == "ok" and (why := problem(info))
    )  # fmt: skip
    data = {"manifest": paths.manifest, "plugins": rows(built.plugins, disabled(paths))}
    left_out = (Message(text, "warning", "plugin.command_broken") for text in built.left_out)
    return Result(data=data, messages=(written, *said, *left_out))
