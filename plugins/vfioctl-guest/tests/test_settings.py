"""What CPUs, memory and boot order become in a guest's configuration, and what a running one takes at once."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest
from vfioctl_guest import settings
from vfioctl_guest.life import Subject
from vfioctl_guest.tuning import Wanted, drafted

from vfioctl.plugin import Guest, Refused

XML = """<domain><memory unit='GiB'>4</memory><currentMemory unit='KiB'>4194304</currentMemory>
<vcpu placement='static' current='2'>4</vcpu><cpu><topology sockets='1' cores='4' threads='1'/></cpu>
<os><type>hvm</type><boot dev='hd'/></os><devices>
<disk><target dev='vda'/></disk><disk><target dev='vdb'/><boot order='1'/></disk>
<interface type='network'><mac address='52:54:00:aa:00:01'/></interface></devices></domain>"""


VCPUS = "<vcpus>{}</vcpus></domain>"
ADDED = "<vcpu id='1' enabled='yes' hotpluggable='yes'/><vcpu id='2' enabled='no' hotpluggable='yes'/>"


def subject(*, running: bool = False, persistent: bool = True, live_xml: str = XML) -> Subject:
    state, live = ("running", live_xml) if running else ("off", "")
    guest = Guest("3f0c9a52-0000-4000-8000-000000000001", "win11", state, persistent=persistent, saved=False, xml=XML,
                  live_xml=live)  # fmt: skip
    return Subject(guest, "local", "qemu:///system", local=True, managed=False)


@pytest.mark.parametrize(("xml", "target"), [
    (XML, "vdb"),
    (XML.replace("<boot order='1'/>", ""), "vda"),
    (XML.replace("<disk><target dev='vda'/>", "<disk device='cdrom'>").replace("<boot order='1'/>", ""), "vdb"),
    (XML.replace("<boot order='1'/>", "").replace("<mac ", "<boot order='1'/><mac "), ""),
], ids=["by its order", "the first one", "no CD", "from a network alone"])  # fmt: skip
def test_the_disk_that_a_guest_boots_from_is_known(xml, target):
    assert settings.system_disk(xml) == target


@pytest.mark.parametrize(("cpus", "has", "topology"), [(1, (1, 4), True), (4, (4, 4), True), (6, (6, 6), False)])
def test_more_cpus_than_there_can_be_leave_their_layout_to_libvirt(cpus, has, topology):
    made = settings.with_cpus(XML, cpus)
    assert settings.cpus_of(made) == has
    assert (ET.fromstring(made).find("cpu/topology") is not None) == topology


def test_memory_is_what_it_has_and_what_it_can_have():
    assert settings.memory_of(XML) == (4 << 20, 4 << 20)
    assert settings.memory_of(settings.with_memory(XML, 2 << 30)) == (2 << 20, 2 << 20)


def test_memory_that_is_laid_out_by_hand_is_left():
    with pytest.raises(Refused) as caught:
        settings.with_memory("<domain><cpu><numa/></cpu></domain>", 1 << 30)
    assert caught.value.code == "guest.numa"


def test_it_boots_from_what_is_named_and_from_nothing_else():
    root = ET.fromstring(settings.with_boot("win11", XML, ("52:54:00:aa:00:01", "vda")))
    assert root.find("os/boot") is None
    assert root.find("devices/interface/boot").get("order") == "1"
    assert [disk.find("boot") is not None for disk in root.iterfind("devices/disk")] == [True, False]
    with pytest.raises(Refused) as caught:
        settings.with_boot("win11", XML, ("vdc",))
    assert caught.value.code == "device.unknown"


def kinds(draft):
    return [one.kind for one in draft.steps]


def test_a_guest_that_is_off_is_configured_and_one_that_runs_takes_what_it_can_at_once():
    wanted = Wanted(cpus=3, memory=2 << 30)
    assert kinds(drafted(subject(), wanted, autostarts=False)) == ["domain.define"]
    draft = drafted(subject(running=True), wanted, autostarts=False)
    assert kinds(draft) == ["domain.define", "domain.tune", "domain.tune"]
    assert [one.params["former"] for one in draft.steps[1:]] == [2, 4 << 20]
    assert draft.said == ()


def test_what_has_to_wait_is_said():
    draft = drafted(subject(running=True), Wanted(cpus=8, memory=8 << 30, boot=("vda",)), autostarts=False)
    assert kinds(draft) == ["domain.define"]
    assert len(draft.said) == 3


@pytest.mark.parametrize(("wanted", "live"), [
    (Wanted(cpus=1), XML),
    (Wanted(cpus=1), XML.replace("</domain>", VCPUS.format("<vcpu id='0' enabled='yes' hotpluggable='no'/>" * 2))),
    (Wanted(memory=2 << 30), XML.replace("</devices>", "<memballoon model='none'/></devices>")),
], ids=["CPUs of which nothing is known", "CPUs that it was started with", "without a balloon"])  # fmt: skip
def test_what_a_running_guest_cannot_let_go_of_waits_and_is_configured(wanted, live):
    draft = drafted(subject(running=True, live_xml=live), wanted, autostarts=False)
    assert (kinds(draft), len(draft.said)) == (["domain.define"], 1)


def test_a_cpu_that_was_added_while_it_ran_goes_at_once():
    live = XML.replace("</domain>", VCPUS.format("<vcpu id='0' enabled='yes' hotpluggable='no'/>" + ADDED))
    draft = drafted(subject(running=True, live_xml=live), Wanted(cpus=1), autostarts=False)
    assert kinds(draft) == ["domain.define", "domain.tune"]


def test_what_is_so_already_is_no_step():
    wanted = Wanted(cpus=2, memory=4 << 30, autostart=True)
    assert drafted(subject(running=True), wanted, autostarts=True).steps == ()
    assert kinds(drafted(subject(), Wanted(autostart=False), autostarts=True)) == ["domain.autostart"]


def test_a_guest_without_a_configuration_is_not_changed():
    with pytest.raises(Refused) as caught:
        drafted(subject(persistent=False), Wanted(cpus=2), autostarts=False)
    assert caught.value.code == "guest.transient"
