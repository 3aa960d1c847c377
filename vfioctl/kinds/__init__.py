"""THE VOCABULARY: what a step can be, by subject, one kind a file. Only these and proc.py change the machine."""

MODULES = {  # the file of each, without .py
    "driver.bind": "pci/driver_bind",
    "driver.override": "pci/driver_override",
    "module.unload": "kernel/module_unload",
    "module.load": "kernel/module_load",
    "unit.stop": "systemd/unit_stop",
    "unit.start": "systemd/unit_start",
    "unit.restart": "systemd/unit_restart",
    "session.end": "systemd/session_end",
    "process.stop": "processes/process_stop",
    "container.stop": "processes/container_stop",
    "vtconsole.unbind": "kernel/vtconsole_unbind",
    "framebuffer.unbind": "kernel/framebuffer_unbind",
    "sysfs.write": "kernel/sysfs_write",
    "inhibit.sleep": "systemd/inhibit_sleep",
    "device.reset": "pci/device_reset",
    "pci.rescan": "pci/pci_rescan",
    "file.copy": "files/file_copy",
    "file.write": "files/file_write",
    "file.fetch": "files/file_fetch",
    "disk.snapshot": "disks/disk_snapshot",
    "disk.snapshot_delete": "disks/disk_snapshot_delete",
    "command.run": "command_run",
    "foreign.run": "foreign_run",
    "wait.until": "wait_until",
}
PCI = "pci:"  # before the address of a function, in the names of resources
