"""The connections that the host's SSH server has: whoever works on the host from afar has one. Reads only.

Of our network namespace, the host's own: a server in a container is not how one reaches the host.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from vfioctl.frozen import frozen
from vfioctl.host import processes
from vfioctl.host.readers import entries
from vfioctl.host.routes import IPV4, IPV6, native, rows
from vfioctl.paths import Paths

SERVERS = ("sshd", "sshd-session", "sshd-auth", "dropbear")  # since OpenSSH 9.8 a session has a program of its own
PORT = 22  # a connection to it is the server's, also where we may not look into the process
ESTABLISHED = "01"  # TCP_ESTABLISHED, include/net/tcp_states.h
LINK_LOCAL = 0xFE80 >> 6  # fe80::/10
MAPPED = 0xFFFF << 32  # ::ffff:0:0/96, an IPv4 address in an IPv6 socket
SOCKET = re.compile(r"socket:\[(\d+)\]")


@frozen
class Connection:
    """An established TCP connection; addresses as numbers of `bits` bits."""

    local: int
    remote: int
    bits: int

    @property
    def is_inside(self) -> bool:
        """Whether both ends are this host: 127.0.0.0/8, ::1, or one of its addresses to itself."""
        loopback = self.remote >> 24 == 127 if self.bits == IPV4 else self.remote == 1  # noqa: PLR2004 -- 127.0.0.0/8
        return loopback or self.local == self.remote

    @property
    def is_link_local(self) -> bool:
        """Whether the peer has an address that says nothing of the link it is on."""
        return self.bits == IPV6 and self.remote >> (IPV6 - 10) == LINK_LOCAL

    @property
    def peer(self) -> str:
        """The other end as people write it."""
        import ipaddress  # for a message only

        kind = ipaddress.IPv4Address if self.bits == IPV4 else ipaddress.IPv6Address
        return str(kind(self.remote))


def connections(paths: Paths) -> tuple[Connection, ...]:
    """Every connection of the SSH server from another host."""
    open_ones = [*_established(paths, "tcp"), *_established(paths, "tcp6")]
    sockets = _sockets(paths) if open_ones else frozenset()
    found = [one for one, port, inode in open_ones if port == PORT or inode in sockets]
    return tuple(dict.fromkeys(one for one in found if not one.is_inside))


def _established(paths: Paths, name: str) -> Iterator[tuple[Connection, int, str]]:
    """Connection, local port and inode of each line of /proc/net/tcp{,6}: its slot, both ends, state, …, inode."""
    for words in rows(paths, name)[1:]:
        try:
            if words[3] == ESTABLISHED:
                (local, port), (remote, _) = (words[index].split(":") for index in (1, 2))
                yield _connection(native(local), native(remote), len(local) * 4), int(port, 16), words[9]
        except (ValueError, IndexError):  # a line that is cut off
            continue


def _connection(local: int, remote: int, bits: int) -> Connection:
    if bits == IPV6 and local >> 32 << 32 == MAPPED:
        return Connection(local & 0xFFFFFFFF, remote & 0xFFFFFFFF, IPV4)
    return Connection(local, remote, bits)


def _sockets(paths: Paths) -> frozenset[str]:
    """The inodes of the sockets that an SSH server has open; those that may not be seen are left out."""
    pids = [int(name) for name in entries(paths.proc) if name.isdecimal()]
    found = set()
    for pid in (pid for pid in pids if processes.comm(paths, pid) in SERVERS):
        directory = os.path.join(paths.proc, str(pid), "fd")
        for name in entries(directory):
            try:
                link = os.readlink(os.path.join(directory, name))
            except OSError:  # closed, or ended, since
                continue
            if socket := SOCKET.fullmatch(link):
                found.add(socket[1])
    return frozenset(found)
