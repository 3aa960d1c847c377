"""What is wrong with the certificate of a node that libvirt refuses: libvirt says no more than that it does.

The node is dialled once more, with the authority that libvirt trusts (https://libvirt.org/kbase/tlscerts.html).
"""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from vfioctl.paths import Paths
    from vfioctl.virt.nodes import Node

AUTHORITY = "etc/pki/CA/cacert.pem"
PORT = 16514  # of libvirt over TLS (IANA)
SECONDS = 5.0
WRONG_NAME = (62, 64)  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH


def has_another_name(paths: Paths, node: Node) -> bool:
    """Whether its certificate is good, but for a name that is not the one that is dialled."""
    return _fault(paths, node) in WRONG_NAME


def _fault(paths: Paths, node: Node) -> int:
    """OpenSSL's number of what is wrong with it; 0 for nothing, and where it is not seen."""
    parts = urlsplit(node.uri)
    if parts.scheme != "qemu+tls" or not parts.hostname:
        return 0
    try:
        context = ssl.create_default_context(cafile=paths.at(AUTHORITY))
        with (
            socket.create_connection((parts.hostname, parts.port or PORT), SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=parts.hostname),
        ):
            return 0
    except ssl.SSLCertVerificationError as error:
        return error.verify_code
    except OSError:  # ssl.SSLError is one: the node may well want to see our certificate
        return 0
