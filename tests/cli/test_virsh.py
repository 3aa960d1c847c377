"""`enable` and `disable` change the domain through virsh where libvirt-python is not installed: kept and verified."""

from __future__ import annotations

from pathlib import Path

import pytest

from vfioctl.testing.domains import UUID, domain

CARD = "0000:01:00.0"
# Keeps one definition in the file `xml`, as libvirtd does; `refuse` makes it take nothing, `deaf` forget what it took.
VIRSH = """\
#!/bin/sh
PATH=/usr/bin:/bin
cd {root}
case "$*" in
*" list "*) echo win11 ;;
*" dumpxml "*) cat xml ;;
*" define "*)
    for word; do case $word in --file=*) file=${{word#--file=}} ;; esac; done
    if [ -e refuse ]; then echo "error: XML document failed to validate against schema" >&2; exit 1; fi
    if [ ! -e deaf ]; then cat "$file" >xml; fi ;;
esac
"""


@pytest.fixture
def host(root: Path) -> Path:
    """A host with a network card, virsh, and the guest win11, whose card says managed='yes'."""
    place = root / "sys/bus/pci/devices" / CARD
    place.mkdir()
    for name, value in {"class": "0x020000", "vendor": "0x8086", "device": "0x1521"}.items():
        (place / name).write_text(f"{value}\n")
    (root / "xml").write_text(domain("win11", hostdevs=(CARD,), managed=True))
    (root / "usr/bin/virsh").write_text(VIRSH.format(root=root))
    (root / "usr/bin/virsh").chmod(0o755)
    return root


def test_enable_changes_the_definition_and_disable_restores_it_byte_for_byte(run, host) -> None:
    before = (host / "xml").read_text()
    shown = run("enable", "win11")
    assert shown.status == 0
    assert "The domain was changed as shown." in shown.out
    assert (host / "xml").read_text() == before.replace('managed="yes"', 'managed="no"')
    assert run("disable", "win11").status == 0
    assert (host / "xml").read_text() == before


def test_the_definition_as_it_was_is_kept_for_root_alone(run, host) -> None:
    before = (host / "xml").read_text()
    run("enable", "win11")
    kept = host / f"var/lib/vfioctl/definitions/{UUID}.xml"
    assert (kept.read_text(), kept.stat().st_mode & 0o777) == (before, 0o600)
    assert [file.name for file in kept.parent.iterdir()] == [kept.name]


@pytest.mark.parametrize(("how", "said"), [("refuse", "failed to validate"), ("deaf", "it does not show the change")])
def test_a_definition_that_is_not_taken_is_a_failure_that_names_the_copy(run, host, how, said) -> None:
    (host / how).touch()
    shown = run("enable", "win11")
    assert shown.status == 1
    assert said in shown.err
    assert "[libvirt.define]" in shown.err
    assert f"virsh -c qemu:///system define /var/lib/vfioctl/definitions/{UUID}.xml" in shown.err


def test_a_domain_that_is_right_already_is_not_defined_again(run, host) -> None:
    (host / "xml").write_text(domain("win11", hostdevs=(CARD,)))
    (host / "refuse").touch()
    assert run("enable", "win11").status == 0


def test_where_nothing_can_change_the_domain_that_is_no_success(run, host) -> None:
    (host / "usr/bin/virsh").unlink()
    (host / "etc/libvirt/qemu").mkdir()
    (host / "etc/libvirt/qemu/win11.xml").write_text((host / "xml").read_text())
    shown = run("enable", "win11")
    assert shown.status == 1
    assert "neither virsh nor libvirt-python is there to do it. [libvirt.binding]" in shown.err
    assert "virsh edit win11" in shown.err
