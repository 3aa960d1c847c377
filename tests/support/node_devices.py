"""Devices of a node as libvirt describes them (https://libvirt.org/formatnode.html), made up."""

from __future__ import annotations

COMPUTER = "<device><name>computer</name><capability type='system'/></device>"
PORT = """
<device><name>pci_0000_00_01_0</name><parent>computer</parent><driver><name>pcieport</name></driver>
  <capability type='pci'><class>0x060400</class><domain>0</domain><bus>0</bus><slot>1</slot><function>0</function>
    <product id='0x1901'>Root port</product><vendor id='0x8086'>Intel</vendor></capability></device>"""
CARD = """
<device><name>pci_0000_0a_1f_7</name><parent>pci_0000_00_01_0</parent><driver><name>nvidia</name></driver>
  <capability type='pci'><class>0x030000</class><domain>0</domain><bus>10</bus><slot>31</slot><function>7</function>
    <product id='0x2684'/><vendor id='0x10de'>NVIDIA</vendor><numa node='1'/>
    <iommuGroup number='12'><address domain='0x0000' bus='0x0a' slot='0x1f' function='0x7'/></iommuGroup>
  </capability></device>"""
NVME = """
<device><name>pci_0000_02_00_0</name><parent>computer</parent><driver><name>nvme</name></driver>
  <capability type='pci'><class>0x010802</class><domain>0</domain><bus>2</bus><slot>0</slot><function>0</function>
    <product id='0xa80a'>PM9A3</product><vendor id='0x144d'>Samsung</vendor></capability></device>"""
NAMESPACE = """
<device><name>block_nvme0n1</name><parent>pci_0000_02_00_0</parent>
  <capability type='storage'><block>/dev/nvme0n1</block><drive_type>disk</drive_type><model>PM9A3</model>
    <serial>S1</serial><size>1920383410176</size></capability></device>"""
STICK = """
<device><name>block_sdb</name><parent>usb_1_2</parent>
  <capability type='storage'><block>/dev/sdb</block><bus>usb</bus><drive_type>disk</drive_type>
    <capability type='removable'><media_available>1</media_available><media_size>4026531840</media_size></capability>
  </capability></device>"""
USB = """
<device><name>usb_1_2</name><parent>pci_0000_00_01_0</parent><driver><name>usb</name></driver>
  <capability type='usb_device'><bus>1</bus><device>12</device><product id='0x5581'>Ultra</product>
    <vendor id='0x0781'>SanDisk</vendor></capability></device>"""
WIRE = """
<device><name>net_eth0</name><parent>pci_0000_00_01_0</parent>
  <capability type='net'><interface>eth0</interface><address>52:54:00:aa:bb:cc</address>
    <link speed='1000' state='up'/><capability type='80203'/></capability></device>"""
LOOP = """
<device><name>net_lo</name><parent>computer</parent>
  <capability type='net'><interface>lo</interface><address>00:00:00:00:00:00</address></capability></device>"""
BRIDGE = """
<device><name>net_br0</name><parent>computer</parent>
  <capability type='net'><interface>br0</interface><address>52:54:00:00:00:01</address><link state='down'/>
  </capability></device>"""
BUS = """
<device><name>scsi_host0</name><parent>computer</parent><capability type='scsi_host'><host>0</host></capability>
</device>"""
EVERY = (COMPUTER, PORT, CARD, NVME, NAMESPACE, STICK, USB, WIRE, LOOP, BRIDGE, BUS)
