"""What can be made large costs in proportion to its size: no part of it is gone through for each other part.

Counted is processor time, so that a busy machine does not matter: eight times as much may cost 24 times as much at
most; each for each other would cost 64 times.
"""

from __future__ import annotations

import resource
import time
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hand_offs import GUEST, Stage

from vfioctl.errors import Refused
from vfioctl.events.domain import read_domain
from vfioctl.testing.domains import UUID, domain

SMALL, LARGE = 5_000, 40_000
FACTOR = 24
MEASURABLE = 0.03  # seconds of processor time; less is lost in the noise
NAMESPACE = " xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'"
PCI = "<hostdev mode='subsystem' type='pci'><source><address domain='0x{:04x}' bus='0x{:02x}'/></source></hostdev>"

USB = "<hostdev type='usb'><source><vendor id='1'/><product id='#'/></source></hostdev>"


def in_domain(body: str, attributes: str = "") -> str:
    return f"<domain{attributes}><name>w</name><uuid>{UUID}</uuid><memory>1</memory>{body}</domain>"


def in_devices(body: str) -> str:
    return in_domain(f"<devices>{body}</devices>")


def arguments(*words: str) -> str:
    listed = "".join(f"<qemu:arg value='{word}'/>" for word in words)
    return in_domain(f"<qemu:commandline>{listed}</qemu:commandline>", NAMESPACE)


def each(form: str, count: int) -> str:
    return "".join(form.replace("#", str(number)) for number in range(count))


def cells(count: int) -> str:
    return "<cpu><numa>" + each("<cell id='#' memory='1'/>", count) + "</numa></cpu>"


def pages(listed: str) -> str:
    return f"<memoryBacking><hugepages>{listed}</hugepages></memoryBacking>"


PIECE = "x" * 60 + "<a/>"
DOMAINS: dict[str, Callable[[int], str]] = {
    "metadata in pieces": lambda n: in_domain(f"<metadata>{PIECE * n}</metadata>"),
    "a description in pieces": lambda n: in_domain(f"<description>{PIECE * n}</description>"),
    "a title in pieces": lambda n: in_domain(f"<title>{PIECE * n}</title>"),
    "an unknown element in pieces": lambda n: in_domain(f"<x>{PIECE * n}</x>"),
    "one of another namespace in pieces": lambda n: in_domain(f"<q:x>{PIECE * n}</q:x>"),
    "the domain in pieces": lambda n: in_domain(PIECE * n),
    "its devices in pieces": lambda n: in_devices(PIECE * n),
    "a loader in pieces": lambda n: in_domain(f"<os><loader>{PIECE * n}</loader></os>"),
    "text between comments": lambda n: in_domain(f"<os><loader>{('x' * 60 + '<!-- -->') * n * 4}</loader></os>"),
    "text between instructions": lambda n: in_domain(f"<os><loader>{('x' * 60 + '<?a b?>') * n * 4}</loader></os>"),
    "CDATA": lambda n: in_domain(f"<os><loader>{'x<![CDATA[y]]>' * n * 8}</loader></os>"),
    "references": lambda n: in_domain(f"<os><loader>{'&#65;b&lt;' * n * 12}</loader></os>"),
    "attributes of one element": lambda n: in_domain("<a" + each(" a#=''", n * 4) + "/>"),
    "namespaces": lambda n: in_domain(each(f"<n#:a xmlns:n#='{NAMESPACE}'/>", n)),
    "names of elements": lambda n: in_devices(each("<d#/>", n)),
    "depth": lambda n: in_domain(("<a>" * 90 + "</a>" * 90) * (n // 90)),
    "disks": lambda n: in_devices(each("<disk><source file='/i/#'/><target dev='vd#'/></disk>", n // 3)),
    "hostdevs": lambda n: in_devices(PCI.format(0, 1) * (n // 3)),
    "USB devices": lambda n: in_devices(each(USB, n // 3)),
    "interfaces": lambda n: in_devices(each("<interface type='network'><source network='n#'/></interface>", n // 2)),
    "arguments": lambda n: arguments(*["-device", "vfio-pci,host=01:00.0"] * (n // 2)),
    "settings in arguments": lambda n: arguments(*(f"-set device.d{i}.host=01:00.0" for i in range(n))),
    "commas in an argument": lambda n: arguments("-device", "vfio-pci" + ",a=b" * n * 20),
    "blanks in an argument": lambda n: arguments(f"-device{' ' * n * 50}x"),
    "brackets in an argument": lambda n: arguments("-blockdev", '{"a":' * n * 10),
    "quotes in an argument": lambda n: arguments("-blockdev", "{" + r"\&apos;" * n * 20),
    "addresses in an argument": lambda n: arguments("-drive", "nvme://" * n * 20),
    "cells, each with its nodes": lambda n: in_domain(
        "<numatune>" + each("<memnode cellid='#' nodeset='0'/>", n // 2) + "</numatune>" + cells(n // 2)
    ),
    "cells, each with its pages": lambda n: in_domain(
        pages(each("<page size='4' nodeset='#'/>", n // 2)) + cells(n // 2)
    ),
    "pages for all nodes": lambda n: in_domain(pages("<page size='4' nodeset='0-9999'/>" * n)),
    "a set of nodes": lambda n: in_domain(
        "<numatune><memory mode='strict' nodeset='" + ",".join(["0-9999", "^0-9998"] * n) + "'/></numatune>"
    ),
}


def read(document: bytes) -> None:
    with suppress(Refused):
        read_domain(document)


def cost(document: bytes) -> float:
    """Seconds of processor time."""
    began = time.process_time()
    read(document)
    return time.process_time() - began


@pytest.mark.parametrize("name", DOMAINS)
def test_what_a_domain_costs_grows_as_it_does(name: str):
    """What disturbs only adds: the less of two counts, of the large one where the first costs too much."""
    small, large = (DOMAINS[name](size).encode() for size in (SMALL, LARGE))
    limit = FACTOR * max(min(cost(small), cost(small)), MEASURABLE)
    assert cost(large) < limit or cost(large) < limit


@pytest.mark.parametrize("name", DOMAINS)
def test_what_a_domain_takes_of_memory_is_bounded_by_its_size(name: str):
    document = DOMAINS[name](SMALL).encode()
    read(document)  # what is imported at the first time
    tracemalloc.start()
    try:
        read(document)
        assert tracemalloc.get_traced_memory()[1] < 4_000_000 + 40 * len(document)
    finally:
        tracemalloc.stop()


def test_text_that_nobody_asks_for_is_not_kept():
    from vfioctl.events.element import parse_element

    root = parse_element(b"<d>a<m n='1'>b<o>c</o>d</m>e<p>f</p>g</d>", unread=("m",))
    kept = root.find("m")
    assert (root.text, root.text_of("p")) == ("aeg", "f")
    assert kept
    assert (kept.get("n"), kept.text, kept.children) == ("1", "", [])


STARTS: dict[str, Callable[[int], str]] = {
    "hostdevs that are not there": lambda n: "".join(PCI.format(number >> 8, number & 255) for number in range(512, n)),
    "one hostdev": lambda n: PCI.format(0, 1) * n,
    "USB devices": lambda n: each(USB, n),
    "disks that are not there": lambda n: each("<disk><source file='/i/#'/><target dev='vd#'/></disk>", n),
    "networks": lambda n: each("<interface type='network'><source network='n#'/></interface>", n),
    "bridges": lambda n: each("<interface type='bridge'><source bridge='b#'/></interface>", n),
}


@pytest.mark.parametrize("name", STARTS)
def test_a_start_with_10000_of_them_is_answered_in_a_sentence_and_in_time(stage: Stage, name: str):
    stage.xml = domain(GUEST, hostdevs=("0000:01:00.0",), devices=STARTS[name](10_000)).encode()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    call = stage.prepare()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime - before.ru_utime < 10.0  # measured: 0.2 to 2.9 s; each for each other took 20 s and more
    assert call.status in (0, 3)
    assert len(call.stderr) < 10_000


def test_a_refusal_names_as_much_as_is_read_and_counts_the_rest(stage: Stage):
    stage.xml = domain(GUEST, devices="".join(PCI.format(1, bus) for bus in range(64))).encode()
    call = stage.prepare()
    assert call.status == 3
    assert call.stderr.count("There is no PCI device") == 20
    assert "And 44 more are in the way." in call.stderr
    assert f"vfioctl plan {GUEST}" in call.stderr
    document = stage.root + "/domain.xml"
    Path(document).write_bytes(stage.xml)
    assert stage.command("plan", GUEST, "--xml", document).stderr.count("There is no PCI device") == 64


GUEST_FILES = {
    "keys": each("key# = 1\n", 60_000),
    "keys of a plugin": "[snapshot]\n" + each("key# = 1\n", 60_000),
    "tables": each("[table#]\n", 60_000),
}


@pytest.mark.parametrize("name", GUEST_FILES)
def test_of_a_guest_file_that_is_all_wrong_the_first_problems_are_looked_at(stage: Stage, name: str):
    stage.set_guest_file(GUEST_FILES[name])
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    call = stage.prepare()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime - before.ru_utime < 4.0  # measured: 0.6 s
    assert call.status == 3
    assert "There are at least 99 more" in call.stderr


def test_a_handler_that_is_no_plugin_is_told_with_the_one_that_was_meant(stage: Stage):
    stage.set_guest_file('handler = "nvdia"\n')
    assert "handler names 'nvdia', which is no installed plugin; did you mean \"nvidia\"?" in stage.prepare().stderr
    checked = stage.command("config", "validate")
    assert (checked.returncode, 'did you mean "nvidia"' in checked.stderr) == (3, True)
