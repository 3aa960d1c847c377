"""The disk image of the lab machine: a Debian tree from this computer's own sources, made once and cached."""

from __future__ import annotations

import functools
import glob
import os
import shutil

from tests.lab import commands
from tests.lab.cache import Cache, contents, key
from tests.lab.errors import CannotRun, LabError

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "debian")
SOURCES = ("/etc/apt/sources.list", "/etc/apt/sources.list.d/*.list", "/etc/apt/sources.list.d/*.sources")
EXCLUDED = (
    "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*", "/usr/share/doc/*",
    *(f"/lib/modules/*/kernel/{part}/*" for part in (
        "drivers/net/wireless", "drivers/net/ethernet", "drivers/media", "drivers/infiniband", "drivers/staging",
        "drivers/gpu/drm/amd", "drivers/gpu/drm/i915", "drivers/gpu/drm/nouveau", "drivers/gpu/drm/radeon",
        "drivers/iio", "drivers/scsi", "drivers/isdn", "drivers/bluetooth", "net/bluetooth", "net/wireless",
    )),
)  # fmt: skip
SIZE = "4G"
GIB_NEEDED = 4.5
DEADLINE = 900.0


@functools.cache
def cached(cache: Cache, patience: float) -> str:
    """The directory with disk.qcow2, vmlinuz, initrd.img, kernel-release and versions."""
    return cache.made(f"image-{image_key()}", lambda part: build(part, patience), needs_gib=GIB_NEEDED)


def image_key() -> str:
    kernel = commands.output_of(["apt-cache", "show", "--no-all-versions", "linux-image-amd64"])
    depends = [line for line in kernel.splitlines() if line.startswith(("Version:", "Depends:"))]
    return key(SIZE, codename(), *EXCLUDED, *contents(HERE), *depends)


def packages() -> list[str]:
    with open(os.path.join(HERE, "packages"), encoding="utf-8") as file:
        return [line.strip() for line in file if line.strip() and not line.startswith("#")]


def build(part: str, patience: float) -> None:
    tree, log = os.path.join(part, "tree"), os.path.join(part, "build.log")
    sources = os.path.join(part, "debian.sources")
    with open(sources, "w", encoding="utf-8") as file:
        file.write(own_sources(codename()))
    commands.run(bootstrap(tree, sources), log, DEADLINE * patience)
    raw = os.path.join(part, "disk.raw")
    commands.run(["mke2fs", "-q", "-t", "ext4", "-d", tree, raw, SIZE], log, DEADLINE * patience)
    convert = ["qemu-img", "convert", "-c", "-o", "compression_type=zstd", "-O", "qcow2"]
    commands.run([*convert, raw, os.path.join(part, "disk.qcow2")], log, DEADLINE * patience)
    keep_kernel(tree, part)
    shutil.copy(os.path.join(tree, "var/lib/dpkg/status"), os.path.join(part, "versions"))
    os.remove(raw)
    shutil.rmtree(tree)


def bootstrap(tree: str, sources: str) -> list[str]:
    """In a mount namespace of its own: what it mounts below the tree must go with it when it is killed."""
    argv = [
        "unshare",
        "--mount",
        "--propagation=private",
        "mmdebstrap",
        "--variant=minbase",
        "--mode=root",
        f"--include={','.join(packages())}",
    ]
    argv += [f"--dpkgopt=path-exclude={pattern}" for pattern in EXCLUDED]
    argv += [f'--aptopt=Acquire::{scheme}::Proxy "{proxy}"' for scheme, proxy in proxies().items()]
    return [*argv, f'--customize-hook={os.path.join(HERE, "prepare.sh")} "$1"', codename(), tree, sources]


def proxies() -> dict[str, str]:
    """What this computer's apt is told to use, by scheme."""
    found = {scheme: commands.output_of(["apt-config", "shell", "P", f"Acquire::{scheme}::Proxy"])
             for scheme in ("http", "https")}  # fmt: skip
    return {scheme: said.partition("=")[2].strip("'\"") for scheme, said in found.items() if said}


def keep_kernel(tree: str, part: str) -> None:
    kernels = glob.glob(f"{tree}/boot/vmlinuz-*")
    if len(kernels) != 1:
        raise LabError(f"The tree of the lab has {len(kernels)} kernels.")
    release = os.path.basename(kernels[0]).removeprefix("vmlinuz-")
    shutil.copy(kernels[0], os.path.join(part, "vmlinuz"))
    shutil.copy(f"{tree}/boot/initrd.img-{release}", os.path.join(part, "initrd.img"))
    with open(os.path.join(part, "kernel-release"), "w", encoding="ascii") as file:
        file.write(release)


def codename() -> str:
    with open("/etc/os-release", encoding="utf-8") as file:
        values = dict(line.rstrip().split("=", 1) for line in file if "=" in line)
    if values.get("ID") != "debian":
        raise CannotRun("The lab is built from Debian packages with the apt sources of a Debian; this is none.")
    return values["VERSION_CODENAME"]


def own_sources(suite: str) -> str:
    """The entries of this computer's apt for `suite`, its updates and its security updates, as one file."""
    wanted = {suite, f"{suite}-updates", f"{suite}-security"}
    found: list[str] = []
    for path in sorted(path for pattern in SOURCES for path in glob.glob(pattern)):
        with open(path, encoding="utf-8") as file:
            text = file.read()
        found += deb822(text, wanted) if path.endswith(".sources") else one_line(text, wanted)
    if not found:
        raise CannotRun(f"This computer's apt has no source for {suite}.")
    return "\n\n".join(found) + "\n"


def deb822(text: str, wanted: set[str]) -> list[str]:
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    stanzas = [part for part in "\n".join(lines).split("\n\n") if part.strip()]
    return [part.strip() for part in stanzas if wanted & set(suites(part))]


def suites(stanza: str) -> list[str]:
    return [word for line in stanza.splitlines() if line.lower().startswith("suites:") for word in line.split()[1:]]


def one_line(text: str, wanted: set[str]) -> list[str]:
    """`deb [options] URI SUITE COMPONENT…`, as stanzas."""
    found = []
    for line in text.splitlines():
        head, _, rest = line.partition("#")[0].strip().partition(" ")
        options, rest = rest[1:].split("]", 1) if rest.startswith("[") else ("", rest)
        words = rest.split()
        if head == "deb" and len(words) > 2 and words[1] in wanted:
            keys = [word for word in options.split() if word.startswith("signed-by=")]
            signed = [f"Signed-By: {word.partition('=')[2]}" for word in keys]
            stanza = ["Types: deb", f"URIs: {words[0]}", f"Suites: {words[1]}", f"Components: {' '.join(words[2:])}"]
            found.append("\n".join([*stanza, *signed]))
    return found
