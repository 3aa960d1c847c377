"""A host that runs guests: its name and libvirt's URI of it, and which URIs are taken. Reads no file, asks nobody."""

from __future__ import annotations

from collections.abc import Mapping

from vfioctl.frozen import field, frozen
from vfioctl.shell import word

HERE = "qemu:///system"
LOOPBACK = ("127.0.0.1", "localhost", "::1")
REMOTE = ("qemu+ssh", "qemu+tls", "qemu+tcp")
# Of libvirt's parameters of a URI: no program to run, no check that is left out (libvirt.org/uri.html).
PARAMETERS = frozenset({"keyfile", "known_hosts", "mode", "no_tty", "socket", "sshauth"})
KINDS = "qemu:///system, qemu+ssh://HOST/system, qemu+tls://HOST/system or qemu+tcp on the loopback"


@frozen
class Node:
    """A host that runs guests. A cordoned one takes no new guest; `labels` are the administrator's own."""

    name: str
    uri: str
    labels: Mapping[str, str] = field(default_factory=dict)
    cordoned: bool = False

    @property
    def is_local(self) -> bool:
        """Whether its guests run on this machine, so that their files are here."""
        if self.uri == HERE:
            return True
        from urllib.parse import urlsplit  # 4 ms, and nearly every node is this one

        return not urlsplit(self.uri).hostname

    @property
    def dialled(self) -> str:
        """The URI as libvirt gets it: ssh asks no question on a terminal, as nobody might see it."""
        if self.uri.partition(":")[0].lower() != "qemu+ssh" or "no_tty=" in self.uri:
            return self.uri
        return f"{self.uri}{'&' if '?' in self.uri else '?'}no_tty=1"

    @property
    def there(self) -> str:
        """What a command line needs behind a name to be about this node, with a blank before it; "" for this host."""
        return "" if self.uri == HERE or self.name == LOCAL.name else f" --node {word(str(self))}"

    def __str__(self) -> str:
        return self.name or self.uri


LOCAL = Node("local", HERE)


def problem(uri: str, *, mock: bool = False) -> str:
    """Why `uri` is none of a node, in words; "" when it is. `mock` takes libvirt's test driver too."""
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(uri)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        return f"{uri!r} is no URI: {error}"
    if mock and parts.scheme == "test":
        return ""
    if parts.scheme not in ("qemu", *REMOTE):
        return f"{uri!r} has the scheme {parts.scheme!r}; expected {KINDS}"
    if parts.path not in ("/system", "/session"):
        return f"{uri!r} has the path {parts.path!r}; expected /system or /session"
    return _problem_of_host(uri, parts.scheme, host, parts.netloc) or _problem_of_query(uri, parts.query)


def _problem_of_host(uri: str, scheme: str, host: str | None, netloc: str) -> str:
    if "@" in netloc and ":" in netloc.rpartition("@")[0]:
        return f"the URI of {host} holds a password; a URI is no place for one"
    if scheme == "qemu":
        return f"{uri!r} names a host without a transport; expected qemu+ssh://{host}/system" if host else ""
    if not host:
        return f"{uri!r} names no host"
    if netloc.startswith("-") or host.startswith("-"):
        return f"{uri!r} names a host that a program would take for an option"
    if scheme == "qemu+tcp" and host not in LOOPBACK:
        return f"{uri!r} would ask {host} in the clear; expected qemu+tls or qemu+ssh"
    return ""


def _problem_of_query(uri: str, query: str) -> str:
    from urllib.parse import parse_qsl

    strange = sorted({key for key, _ in parse_qsl(query, keep_blank_values=True)} - PARAMETERS)
    taken = ", ".join(sorted(PARAMETERS))
    return f"{uri!r} has the parameter {strange[0]!r}; expected one of {taken}" if strange else ""


def of_uri(uri: str) -> Node:
    """The node of a URI that no file names."""
    return LOCAL if uri == LOCAL.uri else Node("", uri)
