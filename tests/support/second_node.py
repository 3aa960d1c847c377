"""What a second host has beside its private libvirtd: certificates made for one test run, and an sshd on the loopback.

sshd runs in the namespace of that libvirtd, with an /etc/passwd and a /run of its own there.
"""

from __future__ import annotations

import os
import platform
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vfioctl.wait import until

TREE = os.environ.get("SSHD_TREE", "")  # where contrib/test.sh has unpacked one that is not installed
SSHD = shutil.which("sshd", path=f"/usr/sbin:{TREE}/usr/sbin") or ""
LIBRARIES = f"{TREE}/usr/lib/{platform.machine()}-linux-gnu" if TREE else ""
SECONDS, PORTS = 20, 3
CA = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n"
LEAF = "keyUsage=critical,digitalSignature,keyEncipherment\nextendedKeyUsage={use}\n{names}"
TLS = """\
listen_tls = 1
listen_tcp = 0
listen_addr = "127.0.0.1"
tls_port = "{port}"
auth_tls = "none"
ca_file = "{ca}"
cert_file = "{cert}"
key_file = "{key}"
"""
SSH = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {place}/host
AuthorizedKeysFile {place}/authorized
PidFile {place}/sshd.pid
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
StrictModes no
UsePAM no
"""
ROOM = """\
set -e
sed 's/^root:[^:]*:/root:*:/' /etc/shadow > "$1/shadow"
grep -v '^sshd:' /etc/passwd > "$1/passwd"
echo 'sshd:x:65533:65534::/:/usr/sbin/nologin' >> "$1/passwd"
mount --bind "$1/shadow" /etc/shadow
mount --bind "$1/passwd" /etc/passwd
mkdir -p "$1/run/libvirt" "$1/run/sshd"
mount --bind /run/libvirt "$1/run/libvirt"
mount --rbind "$1/run" /run
if [ -n "$2" ]; then mount --bind "$2/usr/lib/openssh" /usr/lib/openssh; fi
"""


def free_port() -> int:
    """A port of the loopback that nobody has now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def said(*argv: str, cwd: Path | None = None) -> str:
    """What a program that must succeed writes."""
    return subprocess.run(argv, check=True, capture_output=True, text=True, timeout=60, cwd=cwd).stdout


class Authority:
    """Signs certificates, which lie in `place`; keys are of an elliptic curve, since those are made at once."""

    def __init__(self, place: Path) -> None:
        self.place = place
        place.mkdir()
        (place / "ca.cnf").write_text(CA)
        self._request("ca")
        self._openssl("x509", "-req", "-in", "ca.csr", "-signkey", "ca.key", "-extfile", "ca.cnf", "-out", "ca.pem")

    @property
    def certificate(self) -> Path:
        return self.place / "ca.pem"

    def sign(self, name: str, use: str, names: str = "") -> tuple[Path, Path]:
        """The certificate and the key of `name`, for `use` (serverAuth, clientAuth)."""
        also = f"subjectAltName={names}\n" if names else ""
        (self.place / f"{name}.cnf").write_text(LEAF.format(use=use, names=also))
        self._request(name)
        self._openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
                      "-extfile", f"{name}.cnf", "-out", f"{name}.pem")  # fmt: skip
        return self.place / f"{name}.pem", self.place / f"{name}.key"

    def _request(self, name: str) -> None:
        self._openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
                      f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")  # fmt: skip

    def _openssl(self, *argv: str) -> None:
        said("openssl", *argv, cwd=self.place)


def with_tls(lab: Any, authority: Authority, names: str) -> int:
    """Let the daemon of `lab`, which is not started yet, listen with a certificate of these `names`; its port."""
    cert, key = authority.sign("server", "serverAuth", names)
    port = free_port()
    with (lab.etc / "libvirtd.conf").open("a") as file:
        file.write(TLS.format(port=port, ca=authority.certificate, cert=cert, key=key))
    return port


class Sshd:
    """An sshd on the host of `lab`, and two keys: `key` is let in, `bare` finds a shell and no other program."""

    def __init__(self, lab: Any, place: Path) -> None:
        self.place = place
        for name in ("host", "key", "bare", "stranger"):
            said("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(place / name))
        (place / "bin").mkdir()
        (place / "bin/sh").symlink_to("/bin/sh")
        only = f'command="PATH={place}/bin exec /bin/sh -c \\"$SSH_ORIGINAL_COMMAND\\""'
        public = {name: (place / f"{name}.pub").read_text() for name in ("key", "bare")}
        (place / "authorized").write_text(f"{public['key']}{only} {public['bare']}")
        said(*lab.inside("sh", "-c", ROOM, "room", str(place), TREE))
        self._lab = lab
        assert any(self._starts() for _ in range(PORTS)), (place / "sshd.log").read_text()

    def _starts(self) -> bool:
        """Whether it listens; somebody else may take the port in between."""
        self.port = free_port()
        (self.place / "sshd.conf").write_text(SSH.format(port=self.port, place=self.place))
        self._process = subprocess.Popen(
            self._lab.inside(SSHD, "-D", "-f", str(self.place / "sshd.conf"), "-E", str(self.place / "sshd.log")),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
            env={**self._lab.environment, **({"LD_LIBRARY_PATH": LIBRARIES} if LIBRARIES else {})},
        )  # fmt: skip
        until(lambda: self._answers() or self._process.poll() is not None, SECONDS)
        return self._process.poll() is None and self._answers()

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as client:
                return client.recv(4) == b"SSH-"
        except OSError:
            return False

    def uri(self, key: str) -> str:
        return f"qemu+ssh://root@127.0.0.1:{self.port}/system?keyfile={self.place / key}"

    @property
    def known(self) -> str:
        """The line by which a client knows this host."""
        return f"[127.0.0.1]:{self.port} {(self.place / 'host.pub').read_text()}"

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(SECONDS)


@contextmanager
def sshd(lab: Any, place: Path) -> Iterator[Sshd]:
    made = Sshd(lab, place)
    yield made
    made.stop()
