"""What is asked of a seed, from options and the files that they name, and judged. Says nothing of what is secret."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING

from vfioctl.plugin import frozen
from vfioctl_guest.seed.content import Person, Place, Seed
from vfioctl_guest.seed.keys import public_keys
from vfioctl_guest.seed.password import hashed
from vfioctl_guest.seed.reading import hash_of, line_of, no, text_of

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv6Address

    from vfioctl.plugin import Call

USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}")  # what useradd(8) takes everywhere
LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
LONGEST = 253  # letters of a name in DNS
HOST = re.compile(rf"{LABEL}(?:\.{LABEL})*")
STARTS = (
    "#cloud-config", "#cloud-boothook", "#include", "#part-handler", "#!", "## template: jinja", "Content-Type:",
    "MIME-Version:",
)  # fmt: skip
NETWORKING = re.compile(r"^\s*[{]?\s*[\"']?(?:network|version)[\"']?\s*:", re.MULTILINE)


@frozen
class Given:
    """The options as they were typed, "" or () for those that were not."""

    user: str = ""
    keys: tuple[str, ...] = ()
    password: str = ""
    secret: str = ""
    hostname: str = ""
    address: str = ""
    gateway: str = ""
    dns: tuple[str, ...] = ()
    user_data: str = ""
    network_config: str = ""


def read(call: Call, given: Given, guest: str, *, cards: int) -> Seed | None:
    """The seed that is asked for, None for none. Raises Refused("guest.seed", "guest.ssh_key", "guest.no_crypt")."""
    if given == Given():
        return None
    _must_agree(given, cards)
    return Seed(
        hostname=_hostname(given.hostname, guest), person=_person(call, given),
        place=_place(given) if given.address else None,
        user=_user_data(call, given.user_data) if given.user_data else b"",
        network=_networking(call, given.network_config) if given.network_config else b"",
    )  # fmt: skip


def _must_agree(given: Given, cards: int) -> None:
    login = given.keys or given.password or given.secret
    if given.user_data and (given.user or login):
        no("--user-data says itself who may log in: leave out --user, --ssh-key and the password.")
    if login and not given.user:
        no("A key or password is somebody's: say whose with --user.")
    if given.user and not login:
        no(f"{given.user} could not log in: give --ssh-key, --password-file or --password-hash-file.")
    if given.password and given.secret:
        no("--password-file and --password-hash-file say the same thing: give one of them.")
    if given.network_config and given.address:
        no("--network-config says itself where the guest is: leave out --address.")
    if (given.gateway or given.dns) and not given.address:
        no("--gateway and --dns belong to a fixed address: give --address, or leave them to DHCP.")
    if given.address and not cards:
        no("--address is for a network card, and the guest has none: give --network.")


def _hostname(asked: str, guest: str) -> str:
    name = asked or guest.replace("_", "-").strip("-.")
    if len(name) > LONGEST or not HOST.fullmatch(name):
        no(f"{name!r} cannot name a host: expected letters, digits, '-' and '.'. Give another one with --hostname.")
    return name


def _person(call: Call, given: Given) -> Person | None:
    if not given.user:
        return None
    if not USER.fullmatch(given.user):
        no(f"{given.user!r} cannot name a user: expected up to 32 of a-z, 0-9, '_' and '-', no digit or '-' first.")
    if given.user == "root":
        no("root is in the guest already, and cloud images let nobody log in as root: name another user.")
    keys = dict.fromkeys(key for path in given.keys for key in public_keys(call, path))
    return Person(given.user, tuple(keys), _secret(call, given))


def _secret(call: Call, given: Given) -> str:
    if given.password:
        return hashed(line_of(call, given.password, "--password-file"))
    return hash_of(call, given.secret) if given.secret else ""


def _place(given: Given) -> Place:
    try:
        address = ipaddress.ip_interface(given.address)
        others = [ipaddress.ip_address(one) for one in (*filter(None, (given.gateway,)), *given.dns)]
    except ValueError as error:
        no(f"An address cannot be read: {error}.")
    if "/" not in given.address:
        no(f"{given.address} has no length of its prefix: expected an address such as {given.address}/24.")
    if given.gateway and others[0] not in address.network and not _is_beside(others[0], address):
        no(f"The gateway {given.gateway} is not in {address.network}, where {address.ip} could reach it.")
    return Place(str(address), given.gateway, given.dns)


def _is_beside(
    gateway: IPv4Address | IPv6Address, address: ipaddress.IPv4Interface | ipaddress.IPv6Interface
) -> bool:  # fmt: skip
    """Whether it is on the same link whatever the prefix: a link-local router of IPv6, as router discovery names it."""
    both = isinstance(gateway, ipaddress.IPv6Address) and isinstance(address, ipaddress.IPv6Interface)
    return both and gateway.is_link_local


def _user_data(call: Call, path: str) -> bytes:
    """It is handed on as it is: only how it begins is looked at, which tells cloud-init what it is."""
    text = text_of(call, path, "--user-data")
    if not text.startswith(STARTS):
        no(f"{path} (--user-data) is nothing for cloud-init: expected that its first line is #cloud-config or #!.")
    return text.encode()


def _networking(call: Call, path: str) -> bytes:
    text = text_of(call, path, "--network-config")
    if not NETWORKING.search(text):
        no(f"{path} (--network-config) is no network configuration: expected a line such as 'version: 2'.")
    return text.encode()
