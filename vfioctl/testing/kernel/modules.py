"""Kernel modules: loading with their dependencies, reference counts, and who may be unloaded.

Seen on Linux 6.1: an open node raises the reference count without an entry in holders/; `modprobe -r` of a busy
module says "modprobe: FATAL: Module nvidia is in use."; a wrong stack ends half-unloaded.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from vfioctl.testing.kernel.devices import DeviceNode
from vfioctl.testing.kernel.nodes import Attribute, Constant, Directory, Link
from vfioctl.testing.model import FakeDriver, FakeModule

if TYPE_CHECKING:
    from vfioctl.testing.kernel.core import Kernel


@dataclass(slots=True)
class Module:
    spec: FakeModule
    directory: Directory
    parameters: dict[str, str] = field(default_factory=dict)


class ModuleError(Exception):
    """What modprobe prints after "modprobe: FATAL: "."""


class Modules:
    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.known = {module.name: module for module in kernel.spec.modules}
        self.loaded: dict[str, Module] = {}
        self.directory = kernel.sys.directory("module")

    def populate(self) -> None:
        """Load what is loaded at the start; no device is probed."""
        for spec in self.kernel.spec.modules:
            if spec.loaded or spec.builtin:
                self._insert(spec, {})

    # Loading

    def load(self, name: str, parameters: dict[str, str] | None = None) -> None:
        """Load `name` and what it uses, then probe the devices without driver. Raises ModuleError, OSError."""
        spec = self.find(name)
        if spec is None:
            raise ModuleError(f"Module {name} not found in directory /lib/modules/{self.kernel.spec.kernel}")
        if spec.name in self.loaded:
            return
        for used in spec.uses:
            self.load(used)
        self.kernel.faults.gate("load", spec.name, "", lambda: self._load(spec, parameters or {}))

    def _load(self, spec: FakeModule, parameters: dict[str, str]) -> None:
        self._insert(spec, parameters)
        for driver in spec.drivers:
            self.kernel.pci.driver_registered(driver.name)
        if spec.drm_for:
            self.kernel.pci.drm_registered(spec)

    def find(self, name: str) -> FakeModule | None:
        wanted = name.replace("-", "_")
        for spec in self.known.values():
            if wanted == spec.name or name in spec.aliases:
                return spec
        return None

    def _insert(self, spec: FakeModule, parameters: dict[str, str]) -> None:
        directory = Directory()
        module = Module(spec, directory, {**dict(spec.parameters), **parameters})
        self.loaded[spec.name] = module
        self.directory.add(spec.name, directory)
        if spec.version:
            directory.add("version", Constant(spec.version))
        if not spec.builtin:
            directory.add("refcnt", Attribute(lambda: f"{self.refcount(spec.name)}\n"))
            directory.add("initstate", Constant("live"))
            directory.directory("holders")
        for name, value in module.parameters.items():
            directory.directory("parameters").add(name, self._parameter(module, name, value))
        for used in spec.uses:
            if holders := self._holders(used):
                holders.add(spec.name, Link(f"../../{spec.name}"))
        for node in spec.nodes:
            self.kernel.nodes.add(DeviceNode(node.path, os.makedev(node.major, node.minor), spec.name))
            if node.klass:
                place = self.kernel.sys.directory(f"class/{node.klass}")
                name = node.path.rpartition("/")[2]
                place.directory(name).add("dev", Constant(f"{node.major}:{node.minor}"))
        for driver in spec.drivers:
            self._register(driver, spec, directory)

    def _parameter(self, module: Module, name: str, value: str) -> Attribute:
        module.parameters[name] = value

        def store(text: str) -> None:
            module.parameters[name] = text.strip()

        return Attribute(lambda: f"{module.parameters[name]}\n", store)

    def _register(self, driver: FakeDriver, spec: FakeModule, directory: Directory) -> None:
        place = self.kernel.pci.add_driver(driver, spec.name)
        place.add("module", Link(f"../../../../module/{spec.name}"))
        target = f"../../../bus/pci/drivers/{driver.name}"
        directory.directory("drivers").add(f"pci:{driver.name}", Link(target))

    def _holders(self, name: str) -> Directory | None:
        module = self.loaded.get(name)
        holders = module.directory.lookup("holders") if module else None
        return holders if isinstance(holders, Directory) else None

    # Reference counts

    def holders(self, name: str) -> tuple[str, ...]:
        return tuple(other for other, module in self.loaded.items() if name in module.spec.uses)

    def refcount(self, name: str) -> int:
        """Modules that use it, open files on its nodes, and references that leaked."""
        outside = self.kernel.processes.references(name) + self.known[name].leaked
        return len(self.holders(name)) + outside

    # Unloading

    def unload(self, name: str) -> None:
        """`modprobe -r name`: the module, then what it used and nobody else does. Raises ModuleError, OSError, Wait."""
        spec = self.find(name)
        if spec is None:
            raise ModuleError(f"Module {name} not found.")
        if spec.builtin:
            raise ModuleError(f"Module {name} is builtin.")
        if spec.name not in self.loaded:
            return
        if self.refcount(spec.name):
            raise ModuleError(f"Module {spec.name} is in use.")
        self.kernel.faults.gate("unload", spec.name, "", lambda: self.remove(spec))
        for used in spec.uses:
            if used in self.loaded and not self.known[used].builtin and not self.refcount(used):
                self.unload(used)

    def remove(self, spec: FakeModule) -> None:
        """Take the module out: its drivers let go of their devices first."""
        if spec.drm_for:
            self.kernel.pci.drm_unregistered(spec)
        for driver in spec.drivers:
            self.kernel.pci.remove_driver(driver.name)
        for node in spec.nodes:
            self.kernel.nodes.remove(node.path)
            if node.klass:
                self.kernel.sys.directory("class").drop(node.klass)
        self.directory.drop(spec.name)
        del self.loaded[spec.name]
        for used in spec.uses:
            if holders := self._holders(used):
                holders.drop(spec.name)

    def table(self) -> str:
        """/proc/modules."""
        lines = []
        for name, module in reversed(self.loaded.items()):
            if not module.spec.builtin:
                holders = "".join(f"{holder}," for holder in self.holders(name)) or "-"
                lines.append(f"{name} 1048576 {self.refcount(name)} {holders} Live 0x0000000000000000\n")
        return "".join(lines)
