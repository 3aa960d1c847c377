"""A host with a private libvirtd and real images, on which `vfioctl snapshot` is run as a user runs it.

vfioctl runs in a tree that shows the machine's programs and the private libvirtd, and has its own /etc, /run and /var:
so it works on "/", and nothing of the machine is touched. The tree is mounted in the private namespace alone.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import uuid as uuids
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from recoveries import WITHOUT_PLUGINS

from vfioctl.testing.entry import composition
from vfioctl.wait import until

IMAGES = "/var/lib/libvirt/images"
NVRAM = "/var/lib/libvirt/qemu/nvram"
RECORDS = "/var/lib/vfioctl/snapshots"
TPMS = "/var/lib/libvirt/swtpm"
TPM_USER = 65534  # nobody: as Debian's tss is, no user that root obeys
DEADLINE = 60
SIZE = 4 << 20
SECTION = 1 << 20
ENTRY = "vfioctl.testing.entry"
TREE = """\
set -e
mount -t tmpfs -o mode=0755 tmpfs "$1"
for place in /*; do
    case ${place#/} in etc|var|run) continue ;; esac
    if [ -L "$place" ]; then cp -P "$place" "$1$place"; continue; fi
    [ -d "$place" ] || continue
    mkdir "$1$place"
    case ${place#/} in dev|proc|sys) mount --rbind "$place" "$1$place" ;; *) mount --bind "$place" "$1$place" ;; esac
done
cp -a /etc "$1/etc"
for place in /var/lib/libvirt /run/libvirt /var/cache/libvirt /var/log/libvirt; do
    mkdir -p "$1$place"
    mount --bind "$place" "$1$place"
done
if ! [ -d "$1$2" ]; then mkdir -p "$1$2"; mount --bind "$2" "$1$2"; fi
ln -s /run "$1/var/run"
mkdir -p "$1/.kit" "$1/var/log" "$1/etc/vfioctl/guests"
echo first > "$1/.boot"
mount --bind "$1/.boot" "$1/proc/sys/kernel/random/boot_id"
"""
DISK = """\
<disk type='file' device='disk'>
  <driver name='qemu' type='{form}'/><source file='{path}'/><target dev='{target}' bus='virtio'/>
</disk>
"""
# libvirt defines no guest with a TPM where swtpm is not installed: these say that it is. No guest with one is started.
SWTPM = ("swtpm", "swtpm_setup", "swtpm_ioctl")
CAPABILITIES = """#!/bin/sh
echo '{"type": "swtpm", "features": ["tpm-1.2", "tpm-2.0"], "version": "0.7.1"}'
"""
UEFI = "<loader readonly='yes' type='pflash'>/usr/share/OVMF/OVMF_CODE.fd</loader><nvram>{nvram}</nvram>"
# swtpm_setup keeps the key that signs its certificates, and libvirt the logs of swtpm, in places of the machine.
SWTPM_PLACES = """\
mount -t tmpfs -o mode=0750,uid=tss tmpfs /var/lib/swtpm-localca
mount -t tmpfs tmpfs /var/log
mkdir -p /var/log/libvirt/qemu
exec "$@"
"""
TPM = "<tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm>"
DOMAIN = """\
<domain type='qemu'>
  <name>{name}</name><uuid>{uuid}</uuid><memory unit='MiB'>32</memory><vcpu>1</vcpu>
  <os><type arch='x86_64' machine='pc'>hvm</type>{firmware}</os><features><acpi/></features>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    {devices}<controller type='usb' model='none'/><memballoon model='none'/>
  </devices>
</domain>
"""


@contextmanager
def silent(lab: Any, place: Path) -> Iterator[SnapshotLab]:
    """A host whose private libvirtd is started, and calls no hook until the end of the block: its guests are off."""
    place.chmod(0o755)
    made = SnapshotLab(lab, place)
    lab.hook("00-told", f'echo "$@" >> {made.calls}\nexit 0\n')
    lab.start()
    yield made
    assert made.calls.read_text() == "", "a hook was called for a guest that was off"


class SnapshotLab:
    """`lab` is the private libvirtd; every call of a hook is a line of `calls`."""

    def __init__(self, lab: Any, place: Path) -> None:
        self.lab = lab
        self.place = place
        self.tree = str(place / "tree")
        self.calls = place / "calls"
        self.calls.touch()
        self._add_swtpm()
        os.mkdir(self.tree)
        argv = lab.inside("sh", "-c", TREE, "tree", self.tree, sys.prefix)
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        refreshed = self.cli("plugins", "refresh")  # as `hook install` does: else each command looks for them
        assert refreshed.returncode == 0, refreshed.stderr

    def _add_swtpm(self) -> None:
        """Programs that the private libvirtd takes for swtpm, where it finds them."""
        programs = self.place / "programs"
        programs.mkdir()
        for name in SWTPM:
            (programs / name).write_text(CAPABILITIES)
            (programs / name).chmod(0o755)
        self.lab.environment["PATH"] += f":{programs}"

    def run(self, *argv: str) -> subprocess.CompletedProcess[str]:
        """A program in the tree."""
        return subprocess.run(
            self._inside(*argv), capture_output=True, text=True, check=False, timeout=DEADLINE,
            env=self._environment, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def started(self, *argv: str, stdin: int = subprocess.DEVNULL, out: int = subprocess.DEVNULL) -> Any:
        """`vfioctl ARGV`, not waited for; `out` is where both of its outputs go."""
        return subprocess.Popen(
            self._inside(sys.executable, "-m", ENTRY, "--root", "/", *argv), env=self._environment, text=True,
            stdin=stdin, stdout=out, stderr=out,
        )  # fmt: skip

    @contextmanager
    def standing_still(self, number: int, *argv: str) -> Iterator[subprocess.Popen[str]]:
        """`vfioctl ARGV`, which stops at its boundary `number` and goes on at the end of the block."""
        self.must("sh", "-c", f"rm -f /.kit/*; echo '{number} 19' > /.kit/crash")
        process = self.started(*argv)
        seen = Path(f"/proc/{self.lab.holder_pid}/root{self.tree}/.kit/paused")
        assert until(lambda: seen.exists() and bool(seen.read_text()), DEADLINE), "it has fewer boundaries"
        pid = int(seen.read_text())
        try:
            yield process
        finally:
            os.kill(pid, signal.SIGCONT)
            process.wait(DEADLINE)
            self.must("sh", "-c", "rm -f /.kit/*")

    def _inside(self, *argv: str) -> list[str]:
        inside: list[str] = self.lab.inside("chroot", self.tree, *argv)
        return inside

    @property
    def _environment(self) -> dict[str, str]:
        return {**self.lab.environment, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}

    def must(self, *argv: str) -> str:
        done = self.run(*argv)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def iso(self, path: str) -> None:
        """Make an image of a CD at `path`, as far as ISO 9660 is told by its first volume descriptor."""
        self.must("sh", "-c", f"truncate -s 64K {path}; printf CD001 | dd of={path} bs=1 seek=32769 conv=notrunc 2>&1")

    def cli(self, *argv: str) -> subprocess.CompletedProcess[str]:
        """`vfioctl ARGV` on this host."""
        return self.run(sys.executable, "-m", ENTRY, "--root", "/", *argv)

    def said(self, *argv: str, status: int = 0) -> str:
        """What `vfioctl ARGV` says, which must end with `status`."""
        ended = self.cli(*argv)
        assert ended.returncode == status, ended.stdout + ended.stderr
        return ended.stdout + ended.stderr

    def cli_of(self, uid: int, group: int, *argv: str) -> subprocess.CompletedProcess[str]:
        """The same by the user `uid`, a member of `group` and nothing else, with a home of their own."""
        home = f"/var/home-{uid}"
        self.must("sh", "-c", f"install -d -o {uid} {home}; touch /.kit/boundaries; chmod -R a+rwX /.kit")
        who = (f"--reuid={uid}", f"--regid={uid}", f"--groups={group}")
        return self.run("setpriv", *who, "env", f"HOME={home}", sys.executable, "-m", ENTRY, "--root", "/", *argv)

    def restart(self, *, daemon: bool) -> None:
        """A power cut: another boot and an empty /run, and a killed `daemon`, which takes seconds. No guest may run."""
        self.must("sh", "-c", "cat /proc/sys/kernel/random/uuid > /.boot; rm -rf /run/vfioctl")
        if daemon:
            active = self.lab.virsh("net-list", "--name").stdout.split()
            self.lab.sigkill()
            self.lab.start()
            for name in active:  # a daemon that starts takes one whose bridge is not there for inactive
                self.lab.virsh("net-start", name, check=False)

    def recover(self) -> str:
        """`vfioctl recover`, which must succeed; what it says."""
        return self._succeeded(self.cli("recover"))

    def recover_uninstalled(self) -> str:
        """The same after the plugins and their manifest have gone."""
        manifest = composition("/").paths.manifest
        self.must("mv", manifest, f"{manifest}.taken")
        ended = self.run(sys.executable, "-I", "-c", WITHOUT_PLUGINS, "--root", "/", "recover")
        self.must("mv", f"{manifest}.taken", manifest)
        return self._succeeded(ended)

    @staticmethod
    def _succeeded(ended: subprocess.CompletedProcess[str]) -> str:
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout

    def done(self, *argv: str) -> str:
        """`vfioctl snapshot ARGV`, which must succeed; what it says."""
        return self._succeeded(self.cli("snapshot", *argv))

    def refused(self, *argv: str) -> str:
        """`vfioctl snapshot ARGV`, which must be refused; what it says."""
        ended = self.cli("snapshot", *argv)
        assert ended.returncode == 3, ended.stdout + ended.stderr
        return ended.stdout + ended.stderr

    def listed(self, guest: str) -> list[dict[str, Any]]:
        """The snapshots of the guest, as data."""
        found: list[dict[str, Any]] = json.loads(self.done("list", guest, "--format", "json"))["data"]["snapshots"]
        return found

    def names(self, guest: str) -> list[str]:
        return [row["name"] for row in self.listed(guest)]

    def files(self) -> set[str]:
        """Every image, NVRAM and record that is there; what another guest of this lab has counts too."""
        return set(self.run("find", IMAGES, NVRAM, RECORDS, TPMS, "-type", "f").stdout.split())

    def left_open(self) -> list[str]:
        """What is left of operations: journals and contents."""
        places = ("/var/lib/vfioctl/journal", "/run/vfioctl/journal", "/var/lib/vfioctl/blobs")
        return self.run("find", *places, "-type", "f").stdout.split()


class Guest:
    """A guest that is off, with disks of real bytes, an NVRAM where it has UEFI, and the state of a TPM.

    No swtpm is needed: the state is bytes of the test's, in the place and with the permissions that libvirt gives it.
    """

    def __init__(
        self, host: SnapshotLab, *, disks: int = 1, uefi: bool = False, form: str = "qcow2", tpm: bool = False
    ) -> None:
        self.host, self.uuid = host, str(uuids.uuid4())
        self.tpm = f"{TPMS}/{self.uuid}/tpm2/tpm2-00.permall" if tpm else ""
        self.name = f"g{self.uuid[:8]}"
        self.targets = [f"vd{letter}" for letter in "abc"[:disks]]
        paths = {target: f"{IMAGES}/{self.name}-{target}.{form}" for target in self.targets}
        nvram = f"{NVRAM}/{self.name}_VARS.fd" if uefi else ""
        self._do(f"mkdir -p {NVRAM}", *(
            f"qemu-img create -q -f {form} {path} {SIZE} && {_filled(path, 0x10 + number, form=form)}"
            for number, path in enumerate(paths.values())
        ), *([_said(nvram, "first")] if uefi else []), *(self._tpm_made() if tpm else []))  # fmt: skip
        self.define({target: (path, form) for target, path in paths.items()}, nvram)

    def _tpm_made(self) -> tuple[str, ...]:
        """As libvirt makes it (qemu_tpm.c): a directory of root's, one of swtpm's user in it."""
        own = os.path.dirname(self.tpm)
        return (
            f"mkdir -p -m 0711 {os.path.dirname(own)}", f"mkdir -m 0700 {own}", _said(self.tpm, "first"),
            f"chmod 0600 {self.tpm}", f"chown -R {TPM_USER}:{TPM_USER} {own}",
        )  # fmt: skip

    def define(self, disks: dict[str, tuple[str, str]], nvram: str = "") -> None:
        devices = "".join(DISK.format(form=form, path=path, target=name) for name, (path, form) in disks.items())
        firmware = UEFI.format(nvram=nvram) if nvram else ""
        document = self.host.place / f"{self.name}.xml"
        devices += TPM if self.tpm else ""
        document.write_text(DOMAIN.format(name=self.name, uuid=self.uuid, firmware=firmware, devices=devices))
        self.host.lab.virsh("define", str(document))

    @property
    def xml(self) -> ET.Element:
        return ET.fromstring(self.host.lab.virsh("dumpxml", "--inactive", self.name).stdout)

    @property
    def sources(self) -> dict[str, str]:
        """What the guest would write to at its next start."""
        return {
            disk.find("target").get("dev"): disk.find("source").get("file")  # type: ignore[union-attr,misc]
            for disk in self.xml.iterfind("devices/disk")
        }

    @property
    def nvram(self) -> str:
        return self.xml.findtext("os/nvram") or ""

    def write(self, pattern: int, section: int = 0) -> None:
        """Write to every disk, and to the NVRAM, as the running guest does."""
        filled = (_filled(path, pattern + at, section) for at, path in enumerate(self.sources.values()))
        said = (_said(path, f"{pattern}/{section}") for path in (self.nvram, self.tpm) if path)
        self._do(*filled, *said)

    def _do(self, *commands: str) -> None:
        """Shell commands, one after the other: each process in the tree costs time."""
        self.host.must("sh", "-c", " && ".join(commands))

    def state(self) -> dict[str, str]:
        """What the guest would see at its next start: a checksum of each disk, and its NVRAM."""
        seen = {target: self.content(path) for target, path in self.sources.items()}
        beside = {"nvram": self.nvram, "tpm": self.tpm}
        return {**seen, **{name: self.host.must("cat", path) for name, path in beside.items() if path}}

    def content(self, path: str) -> str:
        form = "qcow2" if path.endswith("qcow2") else "raw"
        raw = str(self.host.place / "seen.raw")
        self.host.must("qemu-img", "convert", "-f", form, "-O", "raw", path, raw)
        return hashlib.sha256(Path(raw).read_bytes()).hexdigest()


def _filled(path: str, pattern: int, section: int = 0, *, form: str = "") -> str:
    form = form or ("qcow2" if path.endswith("qcow2") else "raw")
    return f"qemu-io -f {form} -c 'write -P {pattern} {section * SECTION} {SECTION}' {path}"


def _said(path: str, text: str) -> str:
    return f"printf %s '{text}' > {path}"
