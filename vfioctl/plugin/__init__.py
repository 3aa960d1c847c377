'''The public API of plugin authors: everything that a plugin needs comes from here, and nothing else does.

**What a plugin is.** An installed module with hooks: functions of fixed names that get facts and return data. A plugin
decides what should happen to a device or to the host around one start of one guest. It never does it: the core checks
what all plugins ask for, then applies, journals and undoes it. So a plugin that crashes, hangs or is uninstalled while
a guest runs cannot lose a card.

**The smallest one** is a module and a static file. The module, here `vfioctl_governor/plugin.py`:

    from collections.abc import Iterable

    from vfioctl.plugin import Phase, Request, StepProposal, hookimpl

    @hookimpl
    def vfioctl_pre_start(request: Request) -> Iterable[StepProposal]:
        yield StepProposal(
            id="governor.policy0",
            kind="sysfs.write",
            params={"path": "/sys/devices/system/cpu/cpufreq/policy0/scaling_governor", "value": "performance"},
            reason="the guest's CPUs are to run at full speed",
            phase=Phase.BEFORE,
        )

The hooks are in `vfioctl.plugin.spec`: each says when it is called, with what, and what an empty answer means. Take
only the arguments that you need. Hooks are called while libvirt waits and have 5 seconds each: import nothing heavy,
and never ask libvirt, which answers nobody until the hook has ended.

**Steps are pure data.** A step names a kind that the core knows, with parameters; its undo needs no plugin. The old
value is read before the step and put back after the guest, or when a later step fails. `id` begins with the plugin's
name, `reason` is shown by `vfioctl plan`, `before` and `after` name the ids of other steps. Where a whole card changes
hands, return a `GpuHandoff` made of `override`, `bind` and their neighbours below, best with `vendor_claim`.

**Facts only read.** `request.host` is this machine, `request.domain` the guest's XML, `request.devices` what it gets.
A path is read below `request.host.paths.at("/sys/…")`, so that tests can give another root. A path that may be on a
share is looked at with `request.host.ask`: it gives up before libvirt would wait for ever.

**Refusing.** A finding blocks the start before anything is touched, warns, or informs:

    @hookimpl
    def vfioctl_preflight(request: Request) -> Iterable[Finding]:
        if not request.devices:
            yield Finding("governor.idle", "The guest gets no device.", Severity.WARN, hint="See: vfioctl gpu list")

The message is one sentence, the hint is the next command, and the code is stable. An exception costs the plugin, not
the machine: the start is refused where the guest needs the plugin, and goes on without it elsewhere.

**The static file** `vfioctl-plugin.toml` lies beside the module. vfioctl reads it without importing the plugin:

    name = "governor"                # as the entry point in the group "vfioctl"
    api = 2                          # API_VERSION of this page
    summary = "Runs the CPUs under another frequency governor while a guest runs"
    opt_in = true                    # asked only for guests whose file has the table [governor]

    [config.governor]                # a setting: request.config.table("governor")["governor"]
    type = "str"
    default = "performance"
    summary = "The governor of cpufreq while the guest runs."

    [[code]]                         # one for each code of a finding or an error
    name = "governor.idle"
    meaning = "A guest that asks for the governor gets no device."
    remedy = "Nothing: it is information."

`claims = ["10de:*"]` limits a plugin to guests that get such a card; `units` lists the units that it may stop.

**Commands.** A row `[[command]]` of the static file adds a verb to the command line: a click command that returns a
`Result` and prints nothing. docs/plugins/commands.md has its keys. A verb that changes something hands an
`OperationRequest` of steps to `call.perform`; docs/plugins/operations.md shows one. A row `[[operation]]` names the
function that says what becomes of it where its process was killed.

**Testing.** `vfioctl.testing` brings a simulated machine. The fixture `start_host` of its pytest plugin starts one,
`FakeLibvirt` calls the hook as libvirt would, and `snapshot` says what of the machine is not as it was before:

    def test_the_governor_comes_back(start_host):
        libvirt = FakeLibvirt(start_host(generic_nic()))
        libvirt.install()
        libvirt.manage("win11", "[governor]\\ngovernor = 'performance'\\n")
        before = snapshot.take(libvirt.host.root)
        assert libvirt.start("win11", UUID, XML).status == 0
        libvirt.stop("win11", XML)
        assert libvirt.returned(UUID)
        assert snapshot.difference(before, snapshot.take(libvirt.host.root), allowed=OURS) == ()

docs/plugins/writing.md builds this plugin in full, docs/reference/plugin-api.md lists every name of this module,
docs/reference/steps.md every kind of step. Within one API version names are only added.
'''

from __future__ import annotations

from vfioctl.checking import TYPE_CHECKING

if TYPE_CHECKING:
    from vfioctl.config.model import GuestConfig
    from vfioctl.config.schema import Setting
    from vfioctl.config.table import judged_settings, read_settings
    from vfioctl.errors import Refused, VfioctlError
    from vfioctl.events.element import Element, parse_element
    from vfioctl.events.model import Disk, Domain, Hostdev
    from vfioctl.files import open_plain, read_bytes, read_text
    from vfioctl.findings import Finding, Severity
    from vfioctl.frozen import field, frozen, replace
    from vfioctl.host.destinations import Destination, destinations
    from vfioctl.host.file_users import users_of_file
    from vfioctl.host.host import Host
    from vfioctl.host.images import Qcow2, qcow2_header
    from vfioctl.host.model import (
        Connector,
        DeviceNode,
        Framebuffer,
        Holder,
        IommuGroup,
        Module,
        PciDevice,
        Session,
        Unit,
        VtConsole,
    )
    from vfioctl.host.mounts import usb_mounts
    from vfioctl.host.processes import start_time
    from vfioctl.host.snapshot_records import SnapshotRecord, snapshot_records
    from vfioctl.kinds.disks.backing import must_lie_in_pools
    from vfioctl.kinds.disks.users import Users, users_of
    from vfioctl.kinds.files.marks import keeps_marks, mark_of
    from vfioctl.kinds.files.web import Glance, glance
    from vfioctl.limits import Limits
    from vfioctl.pipe import Piped, piped
    from vfioctl.plugin.answers import Answer, Answers
    from vfioctl.plugin.conflicts import Taken, address_conflicts, taken_addresses
    from vfioctl.plugin.device_users import taken_devices
    from vfioctl.plugin.host_changes import Fate, FileEdit, HostChange, HostRecord, RecordedFile, read_host_record
    from vfioctl.plugin.key_pairs import KeyPair, make_key_store, new_key_pair
    from vfioctl.plugin.markers import hookimpl
    from vfioctl.plugin.operations import (
        Advice,
        Call,
        ChosenCard,
        Completes,
        Enabling,
        Interrupted,
        OperationRequest,
        Options,
        Question,
        content_name,
    )
    from vfioctl.plugin.power import keep_awake
    from vfioctl.plugin.proposals import (
        bind,
        bind_id,
        console_steps,
        drives_console,
        framebuffer_steps,
        given_functions,
        home_conditions,
        is_within,
        kernel_version,
        last_console_steps,
        numbers,
        override,
        override_id,
        staying,
        sysfs,
        target_driver,
        unit_stop,
        vendor_claim,
        write_attribute,
    )
    from vfioctl.plugin.types import (
        API_VERSION,
        GENERIC_RANK,
        VENDOR_RANK,
        ConfigFile,
        DoctorCheck,
        GpuHandoff,
        Outcome,
        Request,
        SnapshotBackend,
        TemplateSource,
    )
    from vfioctl.result import Message, Result, Table, failed, listing, planned_steps
    from vfioctl.sessions import ConsoleSession, ProgramSession
    from vfioctl.shell import argument, word
    from vfioctl.sizes import as_size, size
    from vfioctl.txn.plan import Unfinished
    from vfioctl.txn.planner import new_id
    from vfioctl.txn.step import Condition, Frees, Lifetime, Phase, Scope, StepProposal
    from vfioctl.unknown import no_such
    from vfioctl.virt.accounts import (
        add_authorized_keys,
        read_authorized_keys,
        remove_authorized_keys,
        set_guest_password,
    )
    from vfioctl.virt.addresses import GuestAddress, GuestAddresses, read_addresses
    from vfioctl.virt.agents import GuestRun, run_in_guest
    from vfioctl.virt.capabilities import Capabilities, read_capabilities
    from vfioctl.virt.connection import Connection
    from vfioctl.virt.device_xml import hostdev_element
    from vfioctl.virt.disks import (
        Firmware,
        GuestDisk,
        guest_disks,
        guest_firmware,
        guest_hostdevs,
        guest_tpm,
        guest_tpm_state,
    )
    from vfioctl.virt.figures import GuestFigures, read_figures
    from vfioctl.virt.guest_files import read_guest_file, write_guest_file
    from vfioctl.virt.guests import Guest, read_guest, read_guests
    from vfioctl.virt.hardware import (
        GuestConsole,
        GuestInterface,
        GuestMachine,
        guest_consoles,
        guest_interfaces,
        guest_machine,
    )
    from vfioctl.virt.machine import read_pages
    from vfioctl.virt.networks import (
        DnsName,
        Lease,
        Network,
        Port,
        StaticLease,
        Subnet,
        network_ports,
        parse_network,
        read_leases,
        read_network,
        read_networks,
    )
    from vfioctl.virt.nodes import Node
    from vfioctl.virt.pools import Pool, has_pools_of, place_of, read_pool, read_pools
    from vfioctl.virt.screens import Picture, read_screen
    from vfioctl.virt.snapshots import GuestSnapshot, read_snapshots
    from vfioctl.virt.summaries import GuestSummary, read_summaries
    from vfioctl.virt.template_data import TemplateData
    from vfioctl.virt.templates import (
        Template,
        find_template,
        next_version,
        read_templates,
        templates_pool,
        verify_template,
    )
    from vfioctl.virt.topology import Pages
    from vfioctl.virt.usb import UsbDevice, has_usb_device, read_usb_devices
    from vfioctl.virt.uses import Use, located_disks, other_sources, read_uses
    from vfioctl.virt.volumes import Volume, every_volume, read_volume, read_volumes, volumes_at
    from vfioctl.wait import Backoff, until

    asking: Options
    changing: Options
    on_node: Options
    on_nodes: Options
    card_addresses: Completes
    guest_names: Completes
    network_names: Completes
    pool_names: Completes
    usb_devices: Completes

__all__ = [
    "API_VERSION", "GENERIC_RANK", "TYPE_CHECKING", "VENDOR_RANK",
    "Advice", "Answer", "Answers", "Backoff",
    "Call", "Capabilities", "ChosenCard", "Completes", "Condition", "ConfigFile", "Connection", "Connector",
    "ConsoleSession", "Destination", "DeviceNode", "Disk", "DnsName", "DoctorCheck", "Domain", "Element", "Enabling",
    "Fate", "FileEdit", "Finding", "Firmware", "Framebuffer", "Frees",
    "Glance", "GpuHandoff", "Guest", "GuestAddress", "GuestAddresses", "GuestConfig", "GuestConsole", "GuestDisk",
    "GuestFigures", "GuestInterface", "GuestMachine", "GuestRun", "GuestSnapshot", "GuestSummary",
    "Holder", "Host", "HostChange", "HostRecord", "Hostdev",
    "Interrupted", "IommuGroup",
    "KeyPair", "Lease", "Lifetime", "Limits",
    "Message", "Module", "Network", "Node",
    "OperationRequest", "Options", "Outcome",
    "Pages", "PciDevice", "Phase", "Picture", "Piped", "Pool", "Port", "ProgramSession",
    "Qcow2", "Question",
    "RecordedFile", "Refused", "Request", "Result",
    "Scope", "Session", "Setting", "Severity", "SnapshotBackend", "SnapshotRecord", "StaticLease", "StepProposal",
    "Subnet", "Table", "Taken", "Template", "TemplateData", "TemplateSource",
    "Unfinished", "Unit", "UsbDevice", "Use", "Users",
    "VfioctlError", "Volume", "VtConsole",
    "add_authorized_keys", "address_conflicts", "argument", "as_size", "asking",
    "bind", "bind_id",
    "card_addresses", "changing", "console_steps", "content_name",
    "destinations", "drives_console",
    "every_volume", "failed", "field", "find_template", "framebuffer_steps", "frozen",
    "given_functions", "glance", "guest_consoles", "guest_disks", "guest_firmware", "guest_hostdevs",
    "guest_interfaces", "guest_machine", "guest_names", "guest_tpm", "guest_tpm_state",
    "has_pools_of", "has_usb_device", "home_conditions", "hookimpl", "hostdev_element",
    "is_within", "judged_settings", "keep_awake", "keeps_marks", "kernel_version",
    "last_console_steps", "listing", "located_disks",
    "make_key_store", "mark_of", "must_lie_in_pools",
    "network_names", "network_ports", "new_id", "new_key_pair", "next_version", "no_such", "numbers",
    "on_node", "on_nodes", "open_plain", "other_sources", "override", "override_id",
    "parse_element", "parse_network", "piped", "place_of", "planned_steps", "pool_names", "qcow2_header",
    "read_addresses", "read_authorized_keys", "read_bytes", "read_capabilities", "read_figures", "read_guest",
    "read_guest_file", "read_guests", "read_host_record", "read_leases", "read_network", "read_networks", "read_pages",
    "read_pool", "read_pools", "read_screen", "read_settings", "read_snapshots", "read_summaries", "read_templates",
    "read_text", "read_usb_devices", "read_uses", "read_volume", "read_volumes",
    "remove_authorized_keys", "replace", "run_in_guest",
    "set_guest_password", "size", "snapshot_records", "start_time", "staying", "sysfs",
    "taken_addresses", "taken_devices", "target_driver", "templates_pool",
    "unit_stop", "until", "usb_devices", "usb_mounts", "users_of", "users_of_file",
    "vendor_claim", "verify_template", "volumes_at",
    "word", "write_attribute", "write_guest_file",
]  # fmt: skip

# Each name is fetched from its module when it is first asked for: a hook imports nothing that it does not use.
_MODULES = {
    "vfioctl.checking": "TYPE_CHECKING",
    "vfioctl.config.model": "GuestConfig",
    "vfioctl.config.schema": "Setting",
    "vfioctl.config.table": "judged_settings read_settings",
    "vfioctl.errors": "Refused VfioctlError",
    "vfioctl.events.element": "Element parse_element",
    "vfioctl.events.model": "Disk Domain Hostdev",
    "vfioctl.files": "open_plain read_bytes read_text",
    "vfioctl.findings": "Finding Severity",
    "vfioctl.frozen": "field frozen replace",
    "vfioctl.host.destinations": "Destination destinations",
    "vfioctl.host.host": "Host",
    "vfioctl.host.file_users": "users_of_file",
    "vfioctl.host.images": "Qcow2 qcow2_header",
    "vfioctl.host.model": "Connector DeviceNode Framebuffer Holder IommuGroup Module PciDevice Session Unit VtConsole",
    "vfioctl.host.mounts": "usb_mounts",
    "vfioctl.host.processes": "start_time",
    "vfioctl.host.snapshot_records": "SnapshotRecord snapshot_records",
    "vfioctl.kinds.disks.backing": "must_lie_in_pools",
    "vfioctl.kinds.disks.users": "Users users_of",
    "vfioctl.kinds.files.marks": "keeps_marks mark_of",
    "vfioctl.kinds.files.web": "Glance glance",
    "vfioctl.limits": "Limits",
    "vfioctl.pipe": "Piped piped",
    "vfioctl.plugin.answers": "Answer Answers",
    "vfioctl.plugin.conflicts": "Taken address_conflicts taken_addresses",
    "vfioctl.plugin.device_users": "taken_devices",
    "vfioctl.plugin.host_changes": "Fate FileEdit HostChange HostRecord RecordedFile read_host_record",
    "vfioctl.plugin.key_pairs": "KeyPair make_key_store new_key_pair",
    "vfioctl.plugin.markers": "hookimpl",
    "vfioctl.plugin.operations": "Advice Call ChosenCard Completes Enabling Interrupted OperationRequest Options "
    "Question content_name",
    "vfioctl.plugin.power": "keep_awake",
    "vfioctl.plugin.proposals": "bind bind_id console_steps drives_console framebuffer_steps given_functions "
    "home_conditions is_within kernel_version last_console_steps numbers override override_id staying sysfs "
    "target_driver unit_stop vendor_claim write_attribute",
    "vfioctl.plugin.types": "API_VERSION ConfigFile DoctorCheck GENERIC_RANK GpuHandoff Outcome Request "
    "SnapshotBackend TemplateSource VENDOR_RANK",
    "vfioctl.result": "Message Result Table failed listing planned_steps",
    "vfioctl.sessions": "ConsoleSession ProgramSession",
    "vfioctl.shell": "argument word",
    "vfioctl.sizes": "as_size size",
    "vfioctl.txn.plan": "Unfinished",
    "vfioctl.txn.planner": "new_id",
    "vfioctl.txn.step": "Condition Lifetime Phase Frees Scope StepProposal",
    "vfioctl.unknown": "no_such",
    "vfioctl.verbs.names": "card_addresses guest_names network_names pool_names usb_devices",
    "vfioctl.verbs.options": "asking changing on_node on_nodes",
    "vfioctl.virt.accounts": "add_authorized_keys read_authorized_keys remove_authorized_keys set_guest_password",
    "vfioctl.virt.agents": "GuestRun run_in_guest",
    "vfioctl.virt.addresses": "GuestAddress GuestAddresses read_addresses",
    "vfioctl.virt.capabilities": "Capabilities read_capabilities",
    "vfioctl.virt.connection": "Connection",
    "vfioctl.virt.device_xml": "hostdev_element",
    "vfioctl.virt.disks": "Firmware GuestDisk guest_disks guest_firmware guest_hostdevs guest_tpm guest_tpm_state",
    "vfioctl.virt.figures": "GuestFigures read_figures",
    "vfioctl.virt.guest_files": "read_guest_file write_guest_file",
    "vfioctl.virt.guests": "Guest read_guest read_guests",
    "vfioctl.virt.hardware": "GuestConsole GuestInterface GuestMachine guest_consoles guest_interfaces guest_machine",
    "vfioctl.virt.machine": "read_pages",
    "vfioctl.virt.networks": "DnsName Lease Network Port StaticLease Subnet network_ports parse_network read_leases "
    "read_network read_networks",
    "vfioctl.virt.nodes": "Node",
    "vfioctl.virt.pools": "Pool has_pools_of place_of read_pool read_pools",
    "vfioctl.virt.screens": "Picture read_screen",
    "vfioctl.virt.snapshots": "GuestSnapshot read_snapshots",
    "vfioctl.virt.summaries": "GuestSummary read_summaries",
    "vfioctl.virt.topology": "Pages",
    "vfioctl.virt.usb": "UsbDevice has_usb_device read_usb_devices",
    "vfioctl.virt.uses": "Use located_disks other_sources read_uses",
    "vfioctl.virt.template_data": "TemplateData",
    "vfioctl.virt.templates": "Template find_template next_version read_templates templates_pool verify_template",
    "vfioctl.virt.volumes": "Volume every_volume read_volume read_volumes volumes_at",
    "vfioctl.wait": "Backoff until",
}


def __getattr__(name: str) -> object:
    """The public `name`, imported now and kept. Private names are never looked for: importlib asks for some."""
    for module, names in _MODULES.items():
        if name in names.split():
            import importlib

            value: object = getattr(importlib.import_module(module), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
