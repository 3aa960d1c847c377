"""Asks the DHCP server of a bridge for an address, as a guest with that MAC does: `dhcp_client.py BRIDGE MAC`.

Run it in a network namespace of a test: it puts a link of its own into the bridge. Messages as RFC 2131 has them.
"""

from __future__ import annotations

import socket
import struct
import subprocess
import sys

DISCOVER, OFFER, REQUEST, ACK = 1, 2, 3, 5
KIND, WISH, SERVER = 53, 50, 54  # options
COOKIE = bytes.fromhex("63825363")
XID = b"test"
BROADCAST = 0x8000
HEADERS = 14 + 20 + 8  # of Ethernet, IP and UDP
TRIES = 20


def main(bridge: str, mac: str) -> None:
    """Raises RuntimeError where nobody answers."""
    for argv in (("add", "ask0", "type", "veth", "peer", "name", "ask1"), ("set", "ask0", "master", bridge, "up"),
                 ("set", "ask1", "address", mac, "up")):  # fmt: skip
        subprocess.run(("ip", "link", *argv), check=True)
    hardware = bytes.fromhex(mac.replace(":", ""))
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800)) as link:
        link.bind(("ask1", 0))
        link.settimeout(1)
        offered = exchange(link, hardware, DISCOVER, OFFER)
        server = offered[offered.index(bytes((SERVER, 4))) :][2:6]
        exchange(link, hardware, REQUEST, ACK, (WISH, offered[16:20]), (SERVER, server))


def exchange(link: socket.socket, hardware: bytes, kind: int, reply: int, *options: tuple[int, bytes]) -> bytes:
    """The answer of the kind `reply`."""
    for _ in range(TRIES):
        link.send(frame(hardware, message(hardware, kind, options)))
        try:
            while True:
                found = link.recv(2048)[HEADERS:]
                if found[4:8] == XID and found[240:243] == bytes((KIND, 1, reply)):
                    return found
        except TimeoutError:
            continue
    raise RuntimeError("nobody has answered")


def message(hardware: bytes, kind: int, options: tuple[tuple[int, bytes], ...]) -> bytes:
    head = struct.pack("!4B4sHH16x16s192x", 1, 1, len(hardware), 0, XID, 0, BROADCAST, hardware)
    every = ((KIND, bytes((kind,))), *options)
    return head + COOKIE + b"".join(bytes((code, len(value))) + value for code, value in every) + b"\xff"


def frame(hardware: bytes, data: bytes) -> bytes:
    """A broadcast from nowhere; UDP goes without a checksum."""
    udp = struct.pack("!4H", 68, 67, 8 + len(data), 0) + data
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, bytes(4), b"\xff" * 4)
    total = sum(struct.unpack("!10H", header))
    checked = header[:10] + struct.pack("!H", ~(total + (total >> 16)) & 0xFFFF) + header[12:]
    return b"\xff" * 6 + hardware + b"\x08\x00" + checked + udp


if __name__ == "__main__":
    main(*sys.argv[1:])
