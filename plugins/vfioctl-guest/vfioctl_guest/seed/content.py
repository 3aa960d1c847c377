"""The files of a seed as cloud-init reads them (its data source NoCloud), made of typed data. Pure.

They are YAML. Every text stands in them as JSON, which is YAML too, so that none of it is read as anything else.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping

from vfioctl.plugin import frozen

META, USER, NETWORK = "meta-data", "user-data", "network-config"
ANYWHERE = {4: "0.0.0.0/0", 6: "::/0"}  # the word "default" is understood by few renderers of cloud-init
WORDS = frozenset(("true", "false", "yes", "no", "on", "off", "y", "n", "null"))  # which YAML 1.1 takes for values


@frozen
class Person:
    """Who may log in: with the public `keys`, with the password of the crypt(5) hash `secret`, or both."""

    name: str
    keys: tuple[str, ...] = ()
    secret: str = ""


@frozen
class Place:
    """Where the first network card is: `address` with the length of its prefix, such as 192.168.1.7/24."""

    address: str
    gateway: str = ""
    dns: tuple[str, ...] = ()


@frozen
class Seed:
    """What a new guest is to read. `user` and `network` are whole files of somebody's own, b"" for none."""

    hostname: str
    person: Person | None = None
    place: Place | None = None
    user: bytes = b""
    network: bytes = b""


def files(seed: Seed, instance: str, macs: tuple[str, ...]) -> Mapping[str, bytes]:
    """The files by their names. cloud-init does everything once for each `instance`, which is the guest's UUID."""
    found = {META: _text(meta(seed, instance)), USER: seed.user or _text(user(seed.person))}
    if seed.network or seed.place:
        found[NETWORK] = seed.network or _text(network(seed.place, macs))
    return found


def meta(seed: Seed, instance: str) -> Iterator[str]:
    """The guest's instance and name, plain where YAML takes them for text: readers without YAML know these two keys."""
    plain = seed.hostname[:1].isalpha() and seed.hostname.lower() not in WORDS
    yield f"instance-id: {instance}"
    yield f"local-hostname: {seed.hostname if plain else _quoted(seed.hostname)}"


def user(person: Person | None) -> Iterator[str]:
    """Without a person: nothing, so that the image's own user is made. The shell is the image's choice, too."""
    yield "#cloud-config"
    if person is None:
        return
    yield "users:"
    yield f"  - name: {_quoted(person.name)}"
    yield f"    sudo: {_quoted('ALL=(ALL) NOPASSWD:ALL')}"
    yield f"    lock_passwd: {'false' if person.secret else 'true'}"
    if person.secret:
        yield f"    passwd: {_quoted(person.secret)}"
    if person.keys:
        yield "    ssh_authorized_keys:"
        yield from (f"      - {_quoted(key)}" for key in person.keys)


def network(place: Place | None, macs: Iterable[str]) -> Iterator[str]:
    """Version 2. The cards are known by their MACs, and named: not every renderer finds one without a name."""
    yield "version: 2"
    yield "ethernets:"
    for number, mac in enumerate(macs):
        yield f"  eth{number}:"
        yield f"    match: {{macaddress: {_quoted(mac)}}}"
        yield f"    set-name: eth{number}"
        yield from _static(place) if place and not number else ("    dhcp4: true",)


def _static(place: Place) -> Iterator[str]:
    yield f"    addresses: [{_quoted(place.address)}]"
    if place.gateway:
        to = ANYWHERE[6 if ":" in place.gateway else 4]
        yield f"    routes: [{{to: {_quoted(to)}, via: {_quoted(place.gateway)}}}]"
    if place.dns:
        yield f"    nameservers: {{addresses: [{', '.join(map(_quoted, place.dns))}]}}"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _text(lines: Iterable[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()
