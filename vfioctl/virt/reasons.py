"""Why the way to a node fails, out of what libvirt says of it: a code, a sentence, what to do. Asks nobody.

libvirt hands on the words of ssh, GnuTLS and the C library. So signs are searched for, the most particular first.
"""

from __future__ import annotations

from typing import NamedTuple

from vfioctl.virt.nodes import Node

CERTIFICATE, CERTIFICATE_NAME = "node.certificate", "node.certificate_name"


class Reason(NamedTuple):
    """`sentence` and `hint` are about {host}, the name that is dialled, and {login}, as ssh takes it with its port."""

    code: str
    sentence: str
    hint: str


SIGNS: tuple[tuple[tuple[str, ...], Reason], ...] = (
    (("nc: not found", "nc: command not found", "netcat: not found", "virt-ssh-helper: not found"), Reason(
        "node.no_helper", "ssh reaches {host}, which has neither virt-ssh-helper nor netcat to go on to libvirt with.",
        "Install libvirt's daemon on {host}, which brings virt-ssh-helper, or netcat-openbsd.")),
    (("does not match the hostname",), Reason(
        CERTIFICATE_NAME, "The TLS certificate of {host} lacks the name that is dialled, {host}.",
        "Dial a name that it has, or give {host} a certificate with that name as subjectAltName.")),
    (("certificate", "/pki/", "tls handshake"), Reason(
        CERTIFICATE, "TLS with {host} fails over a certificate: its own, ours, or that of the authority.",
        "https://libvirt.org/kbase/tlscerts.html says which files libvirt reads.")),
    (("host key verification failed",), Reason(
        "node.host_key", "ssh does not know the host key of {host}, and asks nobody about it.",
        "Log in once as root and compare it: ssh {login}")),
    (("permission denied (", "too many authentication failures"), Reason(
        "node.ssh_denied", "ssh is not let in on {host} with the keys of this user.",
        "Give it one with: ssh-copy-id {login}")),
    (("could not resolve hostname", "unable to resolve address", "name or service not known"), Reason(
        "node.unresolved", "The name {host} cannot be resolved here.", "Correct it, or add it to /etc/hosts.")),
    (("connection refused",), Reason(
        "node.refused", "Nobody listens on {host} where it is dialled.",
        "Start the service there: sshd, or libvirtd-tls.socket; a URI may name another port, {host}:PORT.")),
    (("no route to host", "network is unreachable", "timed out", "did not answer within"), Reason(
        "node.unreachable", "{host} does not answer.", "See whether it is up, and whether a firewall is in between.")),
    (("failed to connect socket to",), Reason(
        "node.no_daemon", "{host} is reached, and no libvirt daemon answers there.",
        "Start it there: systemctl start libvirtd")),
    (("authentication", "permission denied", "access denied"), Reason(
        "node.denied", "libvirt on {host} does not let this user in.",
        "Log in there as root, or as a member of its group libvirt.")),
)  # fmt: skip


def reason(node: Node, said: str) -> Reason | None:
    """Why `node`, another host than this, is not reached by what libvirt `said`; None for what has no sign of it."""
    folded = said.casefold()
    found = next((one.code for signs, one in SIGNS if any(sign in folded for sign in signs)), "")
    return about(node, found) if found and not node.is_local else None


def about(node: Node, code: str) -> Reason:
    """The reason of that code, with the names of `node`."""
    found = next(one for _, one in SIGNS if one.code == code)
    from urllib.parse import urlsplit  # as in nodes.py

    parts = urlsplit(node.uri)
    who = f"{parts.username}@{parts.hostname}" if parts.username else parts.hostname or ""
    names = {"host": parts.hostname or "", "login": f"-p {parts.port} {who}" if parts.port else who}
    return Reason(found.code, found.sentence.format(**names), found.hint.format(**names))
