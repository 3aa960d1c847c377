"""The vfioctl plugin that prepares a host: boot loader, initramfs, modules. Proposes; the core carries out."""
