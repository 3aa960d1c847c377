"""The step kinds that change networks, on a real libvirtd in a network namespace of its own."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from libvirt_machine import machine_of, uri_of
from networks import Wanted
from step_builders import planned

from vfioctl.errors import StepFailed, StepRefused
from vfioctl.frozen import replace
from vfioctl.kinds.libvirt.documents import canonical
from vfioctl.txn import blobs
from vfioctl.txn.kind import kind
from vfioctl.txn.step import State, Step, StepProposal

pytest.importorskip("libvirt", reason="libvirt-python is not installed (docs/how-to/install.md)")


@pytest.fixture(scope="module")
def lab(network_lab: Any) -> Any:
    network_lab.start()
    return network_lab


class Bench:
    """A machine whose steps are about one network."""

    def __init__(self, lab: Any, root: Path) -> None:
        self.lab, self.machine, self.wanted = lab, machine_of(root), Wanted()
        self.uri, self.uuid = uri_of(lab), self.wanted.uuid
        self.guests: list[str] = []

    @property
    def connection(self) -> Any:
        return self.machine.libvirt(self.uri).libvirt

    @property
    def handle(self) -> Any:
        return self.connection.networkLookupByUUIDString(self.uuid)

    @property
    def xml(self) -> str:
        return str(self.handle.XMLDesc(1))  # VIR_NETWORK_XML_INACTIVE

    def blob(self, text: str) -> str:
        return blobs.store(self.machine.paths, text.encode()).name

    def define(self, *, active: bool = False) -> None:
        """As somebody else does."""
        self.connection.networkDefineXML(self.wanted.xml)
        if active:
            self.handle.create()

    def guest(self, *, running: bool) -> str:
        name = f"g{len(self.guests)}-{self.wanted.third}"
        self.guests.append(name)
        self.lab.define(name, devices=self.wanted.port(f"52:54:00:0b:{self.wanted.third:02x}:{len(self.guests):02x}"))
        if running:
            self.lab.virsh("start", name)
        return name

    def step(self, sort: str, **params: Any) -> Step:
        return planned(self.machine, sort, {"uri": self.uri, "uuid": self.uuid, **params}, deadline=30.0)

    def codes(self, step: Step) -> list[str]:
        proposal = StepProposal(step.id, step.kind, step.params, step.reason)
        return [one.code for one in kind(step.kind).check(proposal, self.machine.host())]

    def do(self, step: Step) -> str | None:
        kind(step.kind).guard(step, self.machine)
        return kind(step.kind).apply(step, self.machine)

    def undo(self, step: Step) -> str | None:
        return kind(step.kind).undo(step, self.machine)

    def state(self, step: Step) -> State:
        return kind(step.kind).probe(step, self.machine)

    def refused(self, step: Step) -> str:
        """The code with which its check, its guard and its apply refuse."""
        with pytest.raises(StepFailed) as caught:
            kind(step.kind).guard(step, self.machine)
        assert self.codes(step) == [caught.value.code]
        return caught.value.code

    def remove(self) -> None:
        for name in self.guests:
            self.lab.virsh("destroy", name, check=False)
            self.lab.virsh("undefine", "--managed-save", name, check=False)
        for one in self.connection.listAllNetworks():
            kept = one.isPersistent()
            if one.isActive():
                one.destroy()
            if kept:
                one.undefine()
        for connection in self.machine.opened.values():
            connection.close()


@pytest.fixture
def bench(lab: Any, tmp_path: Path) -> Iterator[Bench]:
    tmp_path.chmod(0o755)
    made = Bench(lab, tmp_path)
    yield made
    made.remove()


# network.define


def test_a_network_is_made_and_forgotten_by_the_undo(bench: Bench) -> None:
    step = bench.step("network.define", blob=bench.blob(bench.wanted.xml))
    assert bench.codes(step) == []
    assert bench.state(step) is State.BEFORE
    assert bench.do(step) is None
    assert bench.state(step) is State.AFTER
    assert bench.handle.name() == bench.wanted.name
    assert "already" in (bench.do(step) or "")
    assert bench.undo(step) is None
    assert bench.state(step) is State.BEFORE
    assert "gone" in (bench.undo(step) or "")
    assert bench.connection.listAllNetworks() == []


def test_a_name_that_a_network_has_is_refused_and_that_one_stays(bench: Bench) -> None:
    other = Wanted(bench.wanted.name)
    bench.connection.networkDefineXML(other.xml)
    step = bench.step("network.define", blob=bench.blob(bench.wanted.xml))
    assert bench.refused(step) == "network.exists"
    with pytest.raises(StepRefused):
        kind(step.kind).apply(step, bench.machine)
    assert bench.state(step) is State.BEFORE
    assert [one.UUIDString() for one in bench.connection.listAllNetworks()] == [other.uuid]


def test_one_that_has_another_uuid_than_the_step_is_refused(bench: Bench) -> None:
    step = bench.step("network.define", blob=bench.blob(Wanted().xml))
    assert bench.refused(step) == "network.malformed"


def test_a_new_network_that_is_active_is_forgotten_too_unless_a_guest_is_on_it(bench: Bench) -> None:
    step = bench.step("network.define", blob=bench.blob(bench.wanted.xml))
    bench.do(step)
    bench.handle.create()
    guest = bench.guest(running=True)
    with pytest.raises(StepFailed, match=guest) as caught:
        bench.undo(step)
    assert caught.value.code == "network.in_use"
    assert bench.handle.isActive()
    bench.lab.virsh("destroy", guest)
    assert bench.undo(step) is None
    assert bench.connection.listAllNetworks() == []


# network.start


def test_a_network_is_started_and_stopped_again_and_its_configuration_is_as_before(bench: Bench) -> None:
    bench.define()
    bench.handle.setAutostart(1)
    before, step = canonical(bench.xml), bench.step("network.start")
    assert bench.codes(step) == []
    assert bench.state(step) is State.BEFORE
    assert bench.do(step) is None
    assert bench.handle.isActive()
    assert bench.state(step) is State.AFTER
    assert canonical(bench.xml) == before
    assert bench.handle.autostart() == 1
    assert bench.do(step) == "it is active already"
    assert bench.undo(step) is None
    assert not bench.handle.isActive()
    assert bench.state(step) is State.BEFORE
    assert "not active" in (bench.undo(step) or "")
    assert canonical(bench.xml) == before


def test_a_network_that_somebody_else_has_started_stays_active(bench: Bench) -> None:
    bench.define(active=True)
    step = bench.step("network.start")
    assert bench.state(step) is State.FOREIGN
    assert bench.refused(step) == "network.active"
    assert "not started by this" in (bench.undo(step) or "")
    assert bench.handle.isActive()


@pytest.mark.parametrize("started", [False, True])
def test_what_a_kill_leaves_of_a_start_is_known_and_taken_back_or_finished(bench: Bench, *, started: bool) -> None:
    from vfioctl.kinds.libvirt.networks import marked

    bench.define()
    before, step = canonical(bench.xml), bench.step("network.start")
    bench.connection.networkDefineXML(marked(bench.xml, step.baseline["operation"]))
    if started:
        bench.handle.create()
    assert bench.state(step) is State.BETWEEN
    bench.undo(step)
    assert bench.state(step) is State.BEFORE
    assert canonical(bench.xml) == before
    bench.connection.networkDefineXML(marked(bench.xml, step.baseline["operation"]))
    if started:
        bench.handle.create()
    bench.do(step)
    assert bench.state(step) is State.AFTER
    assert canonical(bench.xml) == before


def test_a_network_on_which_a_guest_runs_is_not_stopped_by_the_undo(bench: Bench) -> None:
    bench.define()
    step = bench.step("network.start")
    bench.do(step)
    guest = bench.guest(running=True)
    with pytest.raises(StepFailed, match=guest) as caught:
        bench.undo(step)
    assert caught.value.code == "network.in_use"
    assert bench.handle.isActive()


# network.stop


def test_a_network_is_stopped_and_started_again(bench: Bench) -> None:
    bench.define(active=True)
    step = bench.step("network.stop")
    assert bench.codes(step) == []
    assert bench.state(step) is State.BEFORE
    assert bench.do(step) is None
    assert not bench.handle.isActive()
    assert bench.state(step) is State.AFTER
    assert bench.do(step) == "it is not active"
    assert bench.undo(step) is None
    assert bench.handle.isActive()
    assert "already" in (bench.undo(step) or "")


def test_one_on_which_a_guest_runs_is_not_stopped_and_one_that_is_only_configured_does_not_count(bench: Bench) -> None:
    bench.define(active=True)
    bench.guest(running=False)
    step = bench.step("network.stop")
    assert bench.codes(step) == []
    bench.guest(running=True)
    assert bench.refused(step) == "network.in_use"
    assert bench.handle.isActive()


def test_a_guest_on_its_bridge_counts_whatever_it_calls_it(bench: Bench) -> None:
    bench.define(active=True)
    name = f"b{bench.wanted.third}"
    bench.guests.append(name)
    bridge = f"<interface type='bridge'><source bridge='tbr{bench.wanted.third}'/></interface>"
    bench.lab.define(name, devices=bridge)
    bench.lab.virsh("start", name)
    assert bench.refused(bench.step("network.stop")) == "network.in_use"


def test_a_network_without_configuration_is_not_stopped(bench: Bench) -> None:
    bench.connection.networkCreateXML(bench.wanted.xml)
    assert bench.refused(bench.step("network.stop")) == "network.transient"


def test_one_that_is_not_active_or_not_there_is_refused(bench: Bench) -> None:
    assert bench.refused(bench.step("network.stop")) == "network.unknown"
    bench.define()
    assert bench.codes(bench.step("network.stop")) == ["network.inactive"]


# network.autostart


def test_a_network_starts_with_libvirt_and_does_not_any_more(bench: Bench) -> None:
    bench.define()
    step = bench.step("network.autostart", on=True, former=False)
    assert bench.codes(step) == []
    assert bench.state(step) is State.BEFORE
    assert bench.do(step) is None
    assert bench.handle.autostart() == 1
    assert bench.state(step) is State.AFTER
    assert bench.undo(step) is None
    assert bench.handle.autostart() == 0


def test_what_somebody_changed_since_the_plan_is_refused(bench: Bench) -> None:
    bench.define()
    assert bench.refused(bench.step("network.autostart", on=True, former=True)) == "network.changed"


# network.delete


def deletion(bench: Bench, **more: Any) -> Step:
    return bench.step("network.delete", blob=bench.blob(bench.xml), autostart=bool(bench.handle.autostart()), **more)


def test_a_network_is_deleted_and_comes_back_as_it_was(bench: Bench) -> None:
    bench.define()
    bench.handle.setAutostart(1)
    before, step = canonical(bench.xml), deletion(bench)
    assert bench.codes(step) == []
    assert bench.state(step) is State.BEFORE
    assert bench.do(step) is None
    assert bench.state(step) is State.AFTER
    assert bench.connection.listAllNetworks() == []
    assert bench.undo(step) is None
    assert bench.state(step) is State.BEFORE
    assert (canonical(bench.xml), bench.handle.autostart()) == (before, 1)


def test_one_that_is_active_or_that_a_guest_is_configured_with_is_not_deleted(bench: Bench) -> None:
    bench.define(active=True)
    step = deletion(bench)
    assert bench.refused(step) == "network.active"
    assert bench.codes(deletion(bench, stops=True)) == []
    bench.handle.destroy()
    guest = bench.guest(running=False)
    with pytest.raises(StepRefused, match=guest) as caught:
        bench.do(step)
    assert caught.value.code == "network.in_use"


def test_one_that_a_saved_guest_goes_on_with_is_not_deleted(bench: Bench) -> None:
    bench.define(active=True)
    guest = bench.guest(running=True)
    bench.lab.virsh("managedsave", guest)
    document = bench.lab.work / "without.xml"
    document.write_text(bench.lab.virsh("dumpxml", "--inactive", guest).stdout.replace(bench.wanted.name, "elsewhere"))
    bench.lab.virsh("define", str(document))
    step = deletion(bench, stops=True)
    assert bench.refused(step) == "network.in_use"


def test_one_that_was_edited_since_the_plan_stays(bench: Bench) -> None:
    bench.define()
    step = deletion(bench)
    bench.connection.networkDefineXML(bench.xml.replace(".200'", ".210'"))
    assert bench.refused(step) == "network.changed"
    assert bench.state(step) is State.FOREIGN


def test_another_one_of_that_name_is_not_replaced_by_the_undo(bench: Bench) -> None:
    bench.define()
    step = deletion(bench)
    bench.do(step)
    other = Wanted(bench.wanted.name)
    bench.connection.networkDefineXML(other.xml)
    assert bench.state(step) is State.FOREIGN
    assert other.name in kind(step.kind).foreign(step, bench.machine)


# network.update


def lease(bench: Bench, former: str = "", entry: str = "") -> Step:
    return bench.step("network.update", section="dhcp-host", index=0, former=former, entry=entry)


def hosts(bench: Bench, xml: str) -> list[str]:
    from xml.etree import ElementTree as ET

    return [one.get("ip", "").rpartition(".")[2] for one in ET.fromstring(xml).iterfind("ip/dhcp/host")]


@pytest.mark.parametrize("active", [False, True])
def test_a_lease_is_added_changed_and_taken_away_and_each_is_undone(bench: Bench, *, active: bool) -> None:
    bench.define(active=active)
    first, second = bench.wanted.host(20, "web"), bench.wanted.host(20, "www")

    def seen() -> set[str]:
        documents = [bench.xml, *([bench.handle.XMLDesc(0)] if active else [])]
        return {canonical(one).partition("<dhcp>")[2] for one in documents}

    before = seen()
    for former, entry in (("", first), (first, second), (second, "")):
        start, step = seen(), lease(bench, former, entry)
        assert len(start) == 1
        assert bench.codes(step) == []
        assert bench.state(step) is State.BEFORE
        assert bench.do(step) is None
        assert bench.state(step) is State.AFTER
        assert bench.do(step) == "it is so already"
        assert bench.undo(step) is None
        assert seen() == start
        assert bench.state(step) is State.BEFORE
        bench.do(step)
    assert seen() == before


def test_a_dns_name_is_added_and_taken_away(bench: Bench) -> None:
    bench.define(active=True)
    entry = f"<host ip='192.168.{bench.wanted.third}.30'><hostname>web</hostname><hostname>www</hostname></host>"
    step = bench.step("network.update", section="dns-host", index=0, former="", entry=entry)
    bench.do(step)
    assert bench.state(step) is State.AFTER
    assert "<hostname>www</hostname>" in bench.handle.XMLDesc(0)
    assert "<hostname>www</hostname>" in bench.xml
    bench.undo(step)
    assert "hostname" not in bench.xml


def test_what_was_half_done_is_known_and_finished_or_taken_back(bench: Bench) -> None:
    bench.define(active=True)
    step = lease(bench, "", bench.wanted.host(20, "web"))
    bench.handle.update(3, 4, 0, step.params["entry"], 1)  # add the last, a DHCP host, live only
    assert bench.state(step) is State.BETWEEN
    bench.undo(step)
    assert hosts(bench, bench.handle.XMLDesc(0)) == []
    bench.handle.update(3, 4, 0, step.params["entry"], 2)  # configured only
    assert bench.state(step) is State.BETWEEN
    bench.do(step)
    assert hosts(bench, bench.handle.XMLDesc(0)) == hosts(bench, bench.xml) == ["20"]


def test_another_entry_of_that_mac_or_address_is_somebody_elses(bench: Bench) -> None:
    bench.define()
    step = lease(bench, "", bench.wanted.host(20, "web"))
    bench.handle.update(3, 4, 0, step.params["entry"].replace("52:54", "52:55"), 2)
    assert bench.state(step) is State.FOREIGN
    assert bench.refused(step) == "network.changed"


def test_an_entry_that_a_step_before_takes_away_is_not_in_the_way_of_the_plan_but_of_the_write(bench: Bench) -> None:
    bench.define()
    theirs, ours = bench.wanted.host(20, "web"), bench.wanted.host(20, "db").replace("52:54", "52:55")
    first = lease(bench, theirs)
    step = replace(second := lease(bench, "", ours), params={**second.params, "beside": [theirs]})
    bench.handle.update(3, 4, 0, theirs, 2)
    assert bench.codes(step) == []
    with pytest.raises(StepRefused, match="was changed since the plan"):
        kind(step.kind).guard(step, bench.machine)
    bench.do(first)
    bench.do(step)
    assert bench.state(step) is State.AFTER
    assert first.resource != lease(bench, "", theirs).resource, "one plan may take an entry away and put it elsewhere"


# network.refresh


def rules(bench: Bench) -> list[str]:
    said = subprocess.run(bench.lab.inside("iptables-save"), capture_output=True, text=True, check=True).stdout
    return sorted(line for line in said.splitlines() if f"tbr{bench.wanted.third} " in line)


def test_libvirt_writes_its_rules_again_and_nothing_else_changes(bench: Bench) -> None:
    bench.define(active=True)
    if not (written := rules(bench)):
        pytest.skip("libvirt keeps its rules with nftables here")
    before, live = canonical(bench.xml), canonical(bench.handle.XMLDesc(0))
    for chain in ("INP", "OUT", "FWI", "FWO", "FWX"):
        subprocess.run(bench.lab.inside("iptables", "-F", f"LIBVIRT_{chain}"), check=True)
    assert rules(bench) != written
    step = bench.step("network.refresh")
    assert bench.codes(step) == []
    assert bench.do(step) is None
    assert rules(bench) == written
    bench.do(step)
    assert rules(bench) == written
    assert canonical(bench.xml) == before
    assert canonical(bench.handle.XMLDesc(0)).replace("<dhcp>", "") == live.replace("<dhcp>", "")
    assert bench.undo(step) == "nothing of it is left"


def test_what_a_kill_leaves_of_it_is_taken_away(bench: Bench) -> None:
    from vfioctl.kinds.libvirt.network_refresh import NOBODY

    bench.define(active=True)
    step = bench.step("network.refresh")
    bench.handle.update(3, 4, 0, f"<host mac='{NOBODY}' ip='192.168.{bench.wanted.third}.254'/>", 1)
    assert bench.undo(step) is None
    assert NOBODY not in bench.handle.XMLDesc(0)


def test_one_that_is_not_active_or_has_no_addresses_is_not_refreshed(bench: Bench) -> None:
    bench.define()
    assert bench.refused(bench.step("network.refresh")) == "network.inactive"
    bench.connection.networkDefineXML(bench.wanted.xml.partition("<ip")[0] + "</network>")
    bench.handle.create()
    assert bench.refused(bench.step("network.refresh")) == "network.no_addresses"


def test_one_whose_every_address_is_kept_for_a_guest_is_not_refreshed(bench: Bench) -> None:
    subnet = f"192.168.{bench.wanted.third}"
    kept = f"<host mac='52:54:00:00:00:01' ip='{subnet}.2'/>"
    own = f"<ip address='{subnet}.1' prefix='30'><dhcp>{kept}</dhcp></ip>"
    bench.connection.networkDefineXML(bench.wanted.xml.partition("<ip")[0] + own + "</network>")
    bench.handle.create()
    assert bench.refused(bench.step("network.refresh")) == "network.no_addresses"
