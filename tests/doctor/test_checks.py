"""What `vfioctl doctor` finds on a host of plain files: each thing that is in the way, and nothing on a good host."""

from __future__ import annotations

from typing import Any

import pytest
from doctored import Break, every, writes

from vfioctl.compose import Composition, compose
from vfioctl.doctor import checks, display, drivers, firmware, groups, iommu, processor
from vfioctl.doctor.checks import Checked, examine
from vfioctl.findings import Finding, Severity
from vfioctl.plugin.types import DoctorCheck

RELEASE, CARD = "6.1.0-56-amd64", "0000:01:00.0"
ARM = "processor\t: 0\nBogoMIPS\t: 50.00\nFeatures\t: fp asimd\nCPU implementer\t: 0x41\n"
OWN = (processor, iommu, drivers, groups, display, firmware)


def found(tree: Any) -> dict[str, Finding]:
    return {finding.code: finding for part in OWN for finding in part.findings(tree.host())}


def without_kvm(tree: Any) -> None:
    (tree.root / "dev/kvm").unlink()


def command_line(words: str) -> Break:
    return lambda tree: tree.write("proc/cmdline", f"quiet {words}\n")


def without_iommu(words: str = "quiet", *tables: str) -> Break:
    def change(tree: Any) -> None:
        (tree.root / "sys/class/iommu/dmar0").rename(tree.root / "away")
        command_line(words)(tree)
        (tree.root / "sys/firmware/acpi/tables").mkdir(parents=True)
        for name in tables:
            tree.write(f"sys/firmware/acpi/tables/{name}")

    return change


def test_on_a_good_host_there_is_nothing(tree):
    assert found(tree) == {}


@pytest.mark.parametrize(
    ("change", "code", "severity", "evidence"),
    [
        (every(writes("proc/cpuinfo", "flags\t: fpu sse\n"), without_kvm), "cpu.no_extension", "warn", "/proc/cpuinfo"),
        (without_kvm, "cpu.no_kvm", "warn", "/dev/kvm"),
        (every(writes("proc/cpuinfo", ARM), without_kvm), "cpu.no_kvm", "warn", "/dev/kvm"),
        (without_iommu("intel_iommu=off", "DMAR"), "iommu.kernel_off", "block", "intel_iommu=off"),
        (without_iommu("quiet"), "iommu.firmware_off", "block", "none of DMAR, IVRS, IORT"),
        (without_iommu("quiet", "DMAR"), "iommu.off", "block", "the table DMAR"),
        (command_line("pcie_acs_override=downstream"), "iommu.acs_override", "warn", "pcie_acs_override=downstream"),
        (lambda tree: tree.write(f"lib/modules/{RELEASE}/modules.dep", "kernel/fs/xfs.ko:\n"), "driver.no_vfio",
         "block", f"/lib/modules/{RELEASE}/modules.dep"),
        (command_line("vfio-pci.ids=10de:2684"), "driver.taken_at_boot", "info", "vfio-pci.ids=10de:2684"),
        (command_line("nomodeset"), "driver.nomodeset", "warn", "nomodeset"),
        (lambda tree: tree.device("0000:02:00.0", driver="nvme", group=1, **{"class": "0x010802"}), "group.unviable",
         "warn", "iommu_groups/1"),
        (lambda tree: tree.write("usr/share/qemu/firmware/50-ovmf.json", "{"), "firmware.no_uefi", "warn", "uefi"),
    ],
)  # fmt: skip
def test_what_would_be_in_the_way_is_found_with_what_was_seen(tree, change, code, severity, evidence):
    change(tree)
    found_now = found(tree)
    assert set(found_now) == {code}
    assert (found_now[code].severity, evidence in found_now[code].evidence) == (severity, True)
    assert found_now[code].hint


def test_arm_has_kvm_without_a_flag(tree):
    tree.write("proc/cpuinfo", ARM)
    assert found(tree) == {}


@pytest.mark.parametrize("tables", [(), ("IORT",)])
def test_the_hints_for_arm_name_the_smmu(tree, tables):
    tree.write("proc/cpuinfo", ARM)
    without_iommu("quiet", *tables)(tree)
    (one,) = found(tree).values()
    assert (one.code, one.hint) == (
        "iommu.off" if tables else "iommu.firmware_off", "Turn on the SMMU in the firmware.")  # fmt: skip


def test_a_kernel_that_has_vfio_pci_built_in_lacks_nothing(tree):
    tree.write(f"lib/modules/{RELEASE}/modules.dep", "")
    tree.write(f"lib/modules/{RELEASE}/modules.builtin", "kernel/drivers/vfio/pci/vfio-pci.ko\n")
    assert found(tree) == {}


def test_without_a_list_of_modules_nothing_is_said_of_them(tree):
    (tree.root / f"lib/modules/{RELEASE}/modules.dep").unlink()
    assert found(tree) == {}


@pytest.mark.parametrize(("ssh", "codes"), [
    ("active", {"display.only_card"}), ("inactive", {"display.only_card", "display.no_way_in"}),
])  # fmt: skip
def test_a_host_with_one_card_needs_another_way_in(tree, ssh, codes):
    (tree.root / "sys/bus/pci/devices/0000:00:02.0").unlink()
    tree.with_systemd().program("systemctl", f"""
        for name; do case $name in *.service|*.socket)
            echo "Id=$name"; echo LoadState=loaded; echo ActiveState={ssh}; echo Job=; echo MainPID=0; echo; esac; done
    """)
    assert set(found(tree)) == codes


def test_a_host_without_a_card_is_told_so(tree):
    for path in (tree.root / "sys/bus/pci/devices").iterdir():
        path.unlink()
    assert set(found(tree)) == {"display.no_card"}


# ---------------------------------------------------------------- the run


@pytest.fixture
def composition(tree: Any) -> Composition:
    return compose(str(tree.root))


def outcome(composition: Composition, check: DoctorCheck) -> Checked:
    return next(one for one in examine(composition, (), check) if one.name == check.name)


def test_every_check_is_told_of_whether_it_finds_something_or_not(composition):
    told = examine(composition, ())
    assert [one.name for one in told] == [check.name for check in checks.checks(composition)]
    assert [one.name for one in told if one.findings] == ["hook"]
    assert "hook.missing" in {finding.code for one in told for finding in one.findings}


def test_a_check_that_fails_is_named_and_costs_only_itself(composition):
    def broken(_host: Any) -> tuple[Finding, ...]:
        raise RuntimeError("no luck")

    told = outcome(composition, DoctorCheck("mine", "All is mine.", broken))
    assert [(finding.code, finding.severity) for finding in told.findings] == [("doctor.failed", Severity.WARN)]
    assert "no luck" in told.findings[0].message


@pytest.mark.parametrize("answer", ["a word", [None], 7, Finding("mine.one", "One.", Severity.INFO)])
def test_a_check_that_finds_what_is_no_finding_costs_only_itself(composition, answer):
    told = outcome(composition, DoctorCheck("mine", "All is mine.", lambda _host: answer))
    assert [finding.code for finding in told.findings] == ["doctor.failed"]


def test_a_check_that_fails_on_the_way_costs_only_itself(composition):
    def broken(_host: Any) -> Any:
        yield Finding("mine.one", "One.", Severity.INFO)
        raise OSError("no luck")

    told = outcome(composition, DoctorCheck("mine", "All is mine.", broken))
    assert [finding.code for finding in told.findings] == ["doctor.failed"]


def test_the_worst_finding_says_how_a_check_ended(composition):
    both = tuple(Finding("mine.one", "One.", severity) for severity in (Severity.INFO, Severity.WARN))
    assert outcome(composition, DoctorCheck("mine", "Mine.", lambda _host: both)).worst is Severity.WARN
