"""What a shell offers for a word that is being typed. Asks libvirt nothing, which answers nobody while a hook runs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from vfioctl.config.load import managed_guests, written
from vfioctl.config.schema import settings
from vfioctl.verbs.names import GUESTS, defined

if TYPE_CHECKING:
    import click

    from vfioctl.cli.app import App
    from vfioctl.config.schema import Setting
    from vfioctl.plugin.types import PluginInfo


def _app(ctx: click.Context) -> App:
    found: App = ctx.find_root().obj
    return found


def guests(ctx: click.Context) -> Iterable[str]:
    """Every guest of libvirt whose definition this user may see, and every managed one."""
    paths = _app(ctx).composition.paths
    return sorted({*managed_guests(paths), *defined(paths, GUESTS)})


def managed(ctx: click.Context) -> Iterable[str]:
    """The guests that vfioctl manages."""
    return managed_guests(_app(ctx).composition.paths)


def recoverable(ctx: click.Context) -> Iterable[str]:
    """The guests that vfioctl manages; after --discard the journals that can be put aside."""
    from vfioctl.handoff.discard import candidates

    return candidates(_app(ctx).composition.paths) if ctx.params.get("discard") else managed(ctx)


def operations(ctx: click.Context) -> Iterable[str]:
    """The keys of what is open."""
    from vfioctl.actions.states import node_of
    from vfioctl.txn.journal import open_uuids

    return open_uuids(node_of(_app(ctx)).paths)


def nodes(ctx: click.Context) -> Iterable[str]:
    """The names of the nodes; none is asked."""
    from vfioctl.config.nodes import names

    return names(_app(ctx).composition.paths)


def _plugins(ctx: click.Context) -> dict[str, PluginInfo]:
    """The plugins as they are listed; a list that is missing or old is made for now, and not kept."""
    from vfioctl.plugin import manifest

    found = manifest.known(_app(ctx).composition.paths) or manifest.build()
    return {info.name: info for info in found.plugins}


def _settings(ctx: click.Context) -> dict[str, Setting]:
    return settings(_plugins(ctx))


def settings_of(ctx: click.Context) -> Iterable[str]:
    """Every setting; only lists where only a list can be meant."""
    only_lists = ctx.info_name == "add"
    return sorted(path for path, setting in _settings(ctx).items() if setting.type == "list" or not only_lists)


def values(ctx: click.Context) -> Iterable[str]:
    """The values that the setting takes, where they can be counted."""
    setting = _settings(ctx)[ctx.params["setting"]]
    return ("true", "false") if setting.type == "bool" else setting.choices


def items(ctx: click.Context) -> Iterable[str]:
    """The items that the list has now, which can be taken out; or those that it may have."""
    name = ctx.params["setting"]
    if ctx.info_name == "add":
        return _settings(ctx)[name].choices
    now = written(_app(ctx).composition.paths, ctx.params.get("guest"), _plugins(ctx))
    return now[name].value if isinstance(now[name].value, tuple) else ()


def addresses(ctx: click.Context) -> Iterable[str]:
    """The PCI functions of this host."""
    return _app(ctx).composition.machine().host().addresses()


def records(ctx: click.Context) -> Iterable[str]:
    """The ids in the history, the newest first, and the word for that one."""
    from vfioctl.actions.lookup import seen_ids
    from vfioctl.actions.states import places_of

    return ("last", *sorted({name for paths in places_of(_app(ctx)) for name in seen_ids(paths)}, reverse=True))
