"""Pools and volumes of a private libvirtd, and single steps on them as the engine takes them."""

from __future__ import annotations

import uuid as uuids
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from libvirt_machine import machine_of, uri_of
from step_builders import planned

from vfioctl.errors import StepFailed
from vfioctl.txn import blobs
from vfioctl.txn.kind import kind
from vfioctl.txn.step import State, Step, StepProposal


class Store:
    """A place for pools on the host of the lab; what is left of them goes in the end."""

    def __init__(self, lab: Any, root: Path) -> None:
        self.lab, self.root, self.uri = lab, root, uri_of(lab)
        self.machine = machine_of(root)
        self.uuid = str(uuids.uuid4())
        self.name = f"p{self.uuid[:8]}"
        self.path = str(root / "srv/pool")

    @property
    def connection(self) -> Any:
        return self.machine.libvirt(self.uri).libvirt

    def document(self, name: str = "", path: str = "", uuid: str = "") -> str:
        return (f"<pool type='dir'><name>{name or self.name}</name><uuid>{uuid or self.uuid}</uuid>"
                f"<target><path>{path or self.path}</path></target></pool>")  # fmt: skip

    def blob(self, text: str) -> str:
        return blobs.store(self.machine.paths, text.encode()).name

    def step(self, sort: str, **params: Any) -> Step:
        return planned(self.machine, sort, {"uri": self.uri, "uuid": self.uuid, **params}, deadline=30.0)

    def define(self, **params: Any) -> Step:
        return self.step("pool.define", **{"blob": self.blob(self.document()), "build": True, "fresh": True, **params})

    def volume(self, sort: str, name: str, **params: Any) -> Step:
        """A step about a volume of the pool."""
        return planned(self.machine, sort, {"uri": self.uri, "pool": self.uuid, "name": name, **params}, deadline=30.0)

    def do(self, step: Step) -> str | None:
        kind(step.kind).guard(step, self.machine)
        return kind(step.kind).apply(step, self.machine)

    def state(self, step: Step) -> State:
        return kind(step.kind).probe(step, self.machine)

    def undo(self, step: Step) -> str | None:
        return kind(step.kind).undo(step, self.machine)

    def foreign(self, step: Step) -> str:
        return kind(step.kind).foreign(step, self.machine)

    def refused(self, step: Step) -> str:
        with pytest.raises(StepFailed) as caught:
            kind(step.kind).guard(step, self.machine)
        return caught.value.code

    def codes(self, step: Step) -> list[str]:
        proposal = StepProposal(step.id, step.kind, step.params, step.reason)
        return [one.code for one in kind(step.kind).check(proposal, self.machine.host())]

    def made(self) -> Any:
        """The pool, active."""
        self.do(self.define())
        self.do(self.step("pool.start"))
        return self.handle

    @property
    def handle(self) -> Any:
        return self.connection.storagePoolLookupByUUIDString(self.uuid)

    def names(self) -> set[str]:
        return {pool.name() for pool in self.connection.listAllStoragePools()}

    def remove(self) -> None:
        for domain in self.connection.listAllDomains():
            if domain.isActive():
                domain.destroy()
            domain.undefine()
        for pool in self.connection.listAllStoragePools():
            if pool.isActive():
                pool.destroy()
            with suppress(Exception):  # it had no configuration, and went with its end
                pool.undefine()
        for connection in self.machine.opened.values():
            connection.close()
