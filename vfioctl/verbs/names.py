"""What a shell offers where a verb takes a name: what libvirt keeps on this host. Asks nobody, since a hook may run.

`vfioctl.plugin` gives these to plugins, as the `shell_complete` of an argument or an option.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    import click

    from vfioctl.paths import Paths
    from vfioctl.plugin.operations import Call

GUESTS, NETWORKS, POOLS, XML = "etc/libvirt/qemu", "etc/libvirt/qemu/networks", "etc/libvirt/storage", ".xml"


def guest_names(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """The guests that libvirt keeps here and this user may see."""
    return _begun(_defined(ctx, GUESTS), incomplete)


def network_names(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """The networks that libvirt keeps here and this user may see."""
    return _begun(_defined(ctx, NETWORKS), incomplete)


def pool_names(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """The pools that libvirt keeps here and this user may see."""
    return _begun(_defined(ctx, POOLS), incomplete)


def card_addresses(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """The cards of this host, and the word for the first that is free."""
    from vfioctl.plugin.operations import FIRST_FREE  # only a completion needs it

    call: Call = ctx.find_root().obj
    return _begun((FIRST_FREE, *(card.address for card in call.host().gpus())), incomplete)


def usb_devices(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """The USB devices of this host without its hubs: by their identity, by their numbers where several share that."""
    from vfioctl.host import usb  # only a completion needs it

    call: Call = ctx.find_root().obj
    found = [one for one in usb.devices(call.paths) if not one.hub and None not in (one.vendor, one.product)]
    identities = [f"{one.vendor:04x}:{one.product:04x}" for one in found]
    named = zip(identities, found, strict=True)
    return _begun(sorted(
        name if identities.count(name) == 1 else f"{one.bus}.{one.device}" for name, one in named
    ), incomplete)  # fmt: skip


def usb_controllers(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """The USB controllers of this host."""
    from vfioctl.host.model import USB_CONTROLLER  # only a completion needs it

    call: Call = ctx.find_root().obj
    host = call.host()
    return _begun((one for one in host.addresses() if host.kind(one) == USB_CONTROLLER), incomplete)


def input_devices(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """The input devices of this host, by names that stay theirs."""
    from vfioctl.host.inputs import devices  # only a completion needs it

    call: Call = ctx.find_root().obj
    return _begun(devices(call.paths), incomplete)


def _defined(ctx: click.Context, directory: str) -> Iterable[str]:
    call: Call = ctx.find_root().obj
    return defined(call.paths, directory)


def defined(paths: Paths, directory: str) -> Iterable[str]:
    """The names of the definitions in a directory of libvirt's that this user may see; a transient object has none."""
    with suppress(OSError):
        found = os.listdir(paths.at(directory))
        return sorted(name.removesuffix(XML) for name in found if name.endswith(XML))
    return ()


def _begun(names: Iterable[str], incomplete: str) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]
