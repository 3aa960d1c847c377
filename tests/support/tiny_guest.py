"""A guest without an operating system that reacts: a boot sector that says so on its serial line and echoes there.

It switches off when its power button is pressed. It runs in real mode on the machine `pc`, whose firmware puts the
registers of power management at port 0x600 (ACPI, "PM1 Event Grouping"; SeaBIOS, PORT_ACPI_PM_BASE).
"""

from __future__ import annotations

from pathlib import Path

READY = "ready"
SECTOR = 512
SIGNATURE = b"\x55\xaa"
START = bytes.fromhex(
    "31c0 8ed8"  # xor ax,ax; mov ds,ax
    "ba0206 b80001 ef"  # mov dx,0x602; mov ax,0x100; out dx,ax    the power button may set its bit
    "be3a7c"  # mov si,message
    # next:
    "ac 84c0 7406"  # lodsb; test al,al; jz idle
    "baf803 ee ebf5"  # mov dx,0x3f8; out dx,al; jmp next          the first serial port
    # idle:
    "fb f4"  # sti; hlt                                            until the timer ticks
    "bafd03 ec a801 7405"  # mov dx,0x3fd; in al,dx; test al,1; jz power    has it sent something?
    "baf803 ec ee"  # mov dx,0x3f8; in al,dx; out dx,al
    # power:
    "ba0006 ed f6c401 74e8"  # mov dx,0x600; in ax,dx; test ah,1; jz idle    is it pressed?
    "ba0406 b80020 ef"  # mov dx,0x604; mov ax,0x2000; out dx,ax   sleep of type 0: off
    "ebfe"  # jmp here
)
DOMAIN = """\
<domain type='qemu'>
  <name>{name}</name><uuid>{uuid}</uuid><memory unit='MiB'>32</memory><vcpu>1</vcpu>
  <os><type arch='x86_64' machine='pc'>hvm</type><boot dev='hd'/></os><features><acpi/></features>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='{disk}'/>
      <target dev='vda' bus='virtio'/></disk>
    <serial type='pty'><log file='{log}' append='off'/></serial>
    {devices}<controller type='usb' model='{usb}'/><memballoon model='none'/>
  </devices>
</domain>
"""


def boot_sector() -> bytes:
    """The whole of the guest."""
    assert len(START) == 0x3A, "the message lies right behind the code"
    code = START + f"{READY}\r\n".encode() + b"\0"
    return code.ljust(SECTOR - len(SIGNATURE), b"\0") + SIGNATURE


def write_disk(path: Path, size: int = 1 << 20) -> Path:
    """The image of its disk."""
    path.write_bytes(boot_sector().ljust(size, b"\0"))
    return path
