"""The options of a verb that gives a guest a seed. A secret is given as a file: every process sees what is typed."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from vfioctl_guest.ssh_keys.places import key_names

if TYPE_CHECKING:
    from collections.abc import Callable

OPTIONS = (
    click.option("--user", default="", metavar="USER", help="Who may log in, and use sudo; cloud-init makes the user."),
    click.option("--ssh-key", "keys", multiple=True, metavar="FILE|NAME", shell_complete=key_names,
                 help="Public SSH keys of that user: a file, or a key that `ssh-key list` has."),
    click.option("--password-file", "password", default="", metavar="FILE", help="A file with that user's password."),
    click.option("--password-hash-file", "secret", default="", metavar="FILE",
                 help="A file with its hash, such as `openssl passwd -6` makes."),
    click.option("--hostname", default="", metavar="NAME", help="How the guest calls itself; else by its name."),
    click.option("--address", default="", metavar="ADDRESS/PREFIX", help="Of its first network card, instead of DHCP."),
    click.option("--gateway", default="", metavar="ADDRESS", help="Its way out, with --address."),
    click.option("--dns", multiple=True, metavar="ADDRESS", help="Who knows names, with --address."),
    click.option("--user-data", default="", metavar="FILE", help="Give cloud-init this file instead of a user."),
    click.option("--network-config", default="", metavar="FILE", help="Give cloud-init this file, not an address."),
)


def seeding(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options, which `command` gets as its argument `seed`."""

    @wraps(command)
    def with_seed(*args: Any, **options: Any) -> Any:
        from vfioctl_guest.seed.given import Given  # what judges them is not needed by a completion

        asked = {name: options.pop(name) for name in Given.__annotations__}
        return command(*args, seed=Given(**asked), **options)

    for option in reversed(OPTIONS):
        option(with_seed)
    return with_seed
