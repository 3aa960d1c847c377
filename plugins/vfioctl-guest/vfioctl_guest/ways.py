"""The way to what a guest shows and to its ssh, here and on another node: addresses and command lines. Asks nobody."""

from __future__ import annotations

import os
from ipaddress import ip_address
from urllib.parse import urlsplit

from vfioctl.plugin import frozen

SSH_URI = "qemu+ssh"


@frozen
class Display:
    """A display: its `kind`, vnc or spice, at `host` and `port`, or at the path `socket` on its node."""

    kind: str
    host: str = ""
    port: int = 0
    socket: str = ""

    @property
    def url(self) -> str:
        """As viewers take it; "" for a socket."""
        return f"{self.kind}://{_bracketed(self.host)}:{self.port}" if self.port else ""


def display_of(told: str, uri: str) -> Display | None:
    """What "vnc 127.0.0.1:5901" says of a display on the node at `uri`; None for one that has no place.

    An address that stands for all of them is that of the node.
    """
    kind, _, place = told.partition(" ")
    if place.startswith("/"):
        return Display(kind, socket=place)
    host, _, port = place.rpartition(":")
    if not port.isdecimal():
        return None
    node = urlsplit(uri).hostname or "127.0.0.1"
    return Display(kind, node if not host or _is(host, "is_unspecified") else host, int(port))


def is_there_alone(display: Display, uri: str) -> bool:
    """Whether only who is on the node at `uri` reaches it, and that is another host."""
    return bool(urlsplit(uri).hostname) and (bool(display.socket) or _is(display.host, "is_loopback"))


def tunnel(display: Display, uri: str) -> tuple[str, ...]:
    """The ssh that brings its port here; its name for the node is that of the URI."""
    place = f"{_bracketed(display.host)}:{display.port}" if display.port else display.socket
    here = str(display.port or 5900)
    return ("ssh", "-N", "-L", f"{here}:{place}", *login_of(uri))


def login_of(uri: str) -> tuple[str, ...]:
    """The node at `uri` as ssh takes it."""
    parts = urlsplit(uri)
    port = ("-p", str(parts.port)) if parts.port and parts.scheme == SSH_URI else ()
    return (*port, f"{parts.username}@{parts.hostname}" if parts.username else str(parts.hostname))


def jump(uri: str) -> tuple[str, ...]:
    """Options of ssh for a guest of the node at `uri`: over that node where we reach it by ssh, else straight."""
    parts = urlsplit(uri)
    return ("-J", parts.netloc) if parts.scheme == SSH_URI and parts.hostname else ()


def ssh_command(
    uuid: str, uri: str, address: str, *, user: str | None, identity: str | None, options: tuple[str, ...] = ()
) -> tuple[str, ...]:
    """The ssh to a guest of the node at `uri`, up to what runs there. Its host key is kept under its UUID."""
    key = ("-i", os.path.abspath(identity)) if identity else ()
    who = ("-l", user) if user else ()
    return ("ssh", *options, "-o", f"HostKeyAlias={uuid}", *jump(uri), *key, *who, "--", address)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _is(host: str, what: str) -> bool:
    try:
        return bool(getattr(ip_address(host.strip("[]")), what))
    except ValueError:
        return what == "is_loopback" and host == "localhost"
