"""A private libvirtd as if it were another host's: over the loopback."""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any


@contextmanager
def forwarded(lab: Any) -> Iterator[str]:
    """A URI of the daemon that leads over the loopback, as if it were another host's."""
    there = f"/proc/{lab.holder_pid}/root/run/libvirt/libvirt-sock"
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_serve, args=(server, there), daemon=True).start()
        yield f"qemu+tcp://127.0.0.1:{server.getsockname()[1]}/system"


def _serve(server: socket.socket, there: str) -> None:
    while True:
        try:
            client, _ = server.accept()
        except OSError:
            return
        threading.Thread(target=_forward, args=(client, there), daemon=True).start()


def _forward(client: socket.socket, there: str) -> None:
    """Both directions of one connection, until one end closes it."""
    with client, suppress(ConnectionError), socket.socket(socket.AF_UNIX) as daemon:
        daemon.connect(there)
        while ready := select.select([client, daemon], [], [])[0]:
            for end in ready:
                if not (data := end.recv(65536)):
                    return
                (daemon if end is client else client).sendall(data)
