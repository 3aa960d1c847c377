"""With which `managed` each card was last given, while the daemon that gave it runs. Decides nothing about the card.

libvirt keeps a device of a run with managed='no' in its memory, as one that is not its business: a later run with
'yes' of the same daemon finds it there and does not reattach it. Seen with libvirt 9.0; a new daemon knows nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from vfioctl import files
from vfioctl.checking import TYPE_CHECKING
from vfioctl.events.model import Domain, Hostdev
from vfioctl.findings import Finding, Severity
from vfioctl.frozen import asdict, frozen
from vfioctl.host.processes import is_alive, start_time
from vfioctl.paths import Paths
from vfioctl.shell import argument

if TYPE_CHECKING:
    from typing import Any

PUBLIC, PUBLIC_DIRECTORY = 0o644, 0o755  # `vfioctl plan` works without root


@frozen
class Former:
    """How a card was given: `managed` as libvirt remembers it, to which guest, by which daemon (pid, start time)."""

    managed: bool
    guest: str
    daemon: int
    began: int


def findings(paths: Paths, domain: Domain) -> Iterable[Finding]:
    """A warning for each card that the running daemon has given with the other mode."""
    for dev in _cards(domain):
        former = _former(paths, str(dev.address))
        differs = former and former.managed != dev.managed and (dev.managed or former.guest != domain.name)
        if former and differs and is_alive(paths, former.daemon, former.began):
            yield _differs(dev, former, domain.name)


def keep(paths: Paths, domain: Domain) -> None:
    """Remember how the cards of `domain` were given, by the daemon that called this hook. Raises OSError.

    A 'no' stays: libvirt forgets it only with its end.
    """
    daemon = os.getppid()
    began = start_time(paths, daemon) or 0
    files.make_private_dir(paths.managed, mode=PUBLIC_DIRECTORY)
    for dev in _cards(domain):
        former = _former(paths, str(dev.address))
        if former is None or former.managed or (former.daemon, former.began) != (daemon, began):
            now = Former(dev.managed, domain.name, daemon, began)
            files.write_json(_path(paths, str(dev.address)), asdict(now), mode=PUBLIC, durable=False)


def _cards(domain: Domain) -> tuple[Hostdev, ...]:
    """The cards that libvirt takes care of, each once: a domain may name one 10,000 times."""
    named = dict.fromkeys(domain.hostdevs)
    return tuple(dev for dev in named if dev.kind == "pci" and dev.address and not dev.in_arguments)


def _former(paths: Paths, address: str) -> Former | None:
    """How the card was given, by a daemon that may be gone by now; None when nobody knows."""
    try:
        said: Any = files.read_json(_path(paths, address))
        former = Former(**said) if said else None
    except (OSError, ValueError, TypeError):  # only a warning hangs on it
        return None
    whole = former and isinstance(former.guest, str) and all(type(n) is int for n in (former.daemon, former.began))
    return former if whole else None


def _path(paths: Paths, address: str) -> str:
    return os.path.join(paths.managed, f"{address}.json")


def _differs(dev: Hostdev, former: Former, guest: str) -> Finding:
    mixing = guest if dev.managed else former.guest
    return Finding(
        "domain.managed_differs",
        f"{dev.address} was given to {former.guest} with managed='{_word(former.managed)}', and {guest} has "
        f"managed='{_word(dev.managed)}': while the libvirt daemon runs (process {former.daemon}) it remembers the "
        "'no' and does not give the card back to the host. vfioctl brings it home all the same.",
        Severity.WARN,
        hint=f"Make them alike with: vfioctl enable {argument(mixing)}",
    )


def _word(managed: bool) -> str:  # noqa: FBT001 -- a value, not a flag
    return "yes" if managed else "no"
