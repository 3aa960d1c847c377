"""modprobe, rmmod, lsmod and modinfo as kmod 30 answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from vfioctl.testing.kernel.modules import ModuleError
from vfioctl.testing.userspace.answers import Reply, parse

if TYPE_CHECKING:
    from vfioctl.testing.kernel.core import Kernel

VALUED = ("-C", "-d", "-S", "-F", "--field", "--config", "--dirname", "--set-version")


def modprobe(kernel: Kernel, argv: Sequence[str]) -> Reply:
    """Load one module with parameters, or with -r (or -a) work on several."""
    arguments = parse(argv, valued=VALUED)
    quiet = arguments.has("-q", "--quiet")
    try:
        if arguments.has("-n", "--dry-run", "--show"):
            return _dry_run(kernel, arguments.words)
        if arguments.has("-r", "--remove"):
            for name in arguments.words:
                kernel.modules.unload(name)
        elif arguments.has("-a", "--all"):
            for name in arguments.words:
                kernel.modules.load(name)
        elif arguments.words:
            pairs = (word.partition("=") for word in arguments.words[1:])
            kernel.modules.load(arguments.words[0], {name: value for name, _, value in pairs})
    except ModuleError as error:
        return Reply(err="" if quiet else f"modprobe: FATAL: {error}\n", status=1)
    except OSError as error:
        reason = error.strerror or "failed"
        return Reply(err=f"modprobe: ERROR: could not insert or remove '{arguments.words[0]}': {reason}\n", status=1)
    return Reply()


def _dry_run(kernel: Kernel, names: Sequence[str]) -> Reply:
    missing = [name for name in names if kernel.modules.find(name) is None]
    if missing:
        where = f"/lib/modules/{kernel.spec.kernel}"
        return Reply(err=f"modprobe: FATAL: Module {missing[0]} not found in directory {where}\n", status=1)
    return Reply()


def rmmod(kernel: Kernel, argv: Sequence[str]) -> Reply:
    """Remove modules; unlike modprobe it names who uses them, and leaves what they used."""
    for name in parse(argv, valued=()).words:
        spec = kernel.modules.find(name)
        if spec is None or spec.name not in kernel.modules.loaded:
            return Reply(err=f"rmmod: ERROR: Module {name} is not currently loaded\n", status=1)
        if holders := kernel.modules.holders(spec.name):
            return Reply(err=f"rmmod: ERROR: Module {spec.name} is in use by: {' '.join(holders)}\n", status=1)
        if kernel.modules.refcount(spec.name):
            return Reply(err=f"rmmod: ERROR: Module {spec.name} is in use\n", status=1)
        kernel.modules.remove(spec)
    return Reply()


def lsmod(kernel: Kernel, _argv: Sequence[str]) -> Reply:
    rows = [
        f"{name:<22} 1048576  {kernel.modules.refcount(name)} {','.join(kernel.modules.holders(name))}".rstrip()
        for name, module in reversed(kernel.modules.loaded.items()) if not module.spec.builtin
    ]  # fmt: skip
    return Reply(out="\n".join(["Module                  Size  Used by", *rows]) + "\n")


def modinfo(kernel: Kernel, argv: Sequence[str]) -> Reply:
    """The version and file name of a module, loaded or not."""
    arguments = parse(argv, valued=VALUED)
    spec = kernel.modules.find(arguments.words[0]) if arguments.words else None
    if spec is None:
        return Reply(err=f"modinfo: ERROR: Module {''.join(arguments.words)} not found.\n", status=1)
    values = {"filename": f"/lib/modules/{kernel.spec.kernel}/kernel/{spec.name}.ko", "version": spec.version or ""}
    if field := arguments.value("-F", "--field"):
        return Reply(out=f"{values.get(field, '')}\n")
    return Reply(out="".join(f"{name}: {value}\n" for name, value in values.items()))
