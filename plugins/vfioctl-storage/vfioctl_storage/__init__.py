"""The vfioctl plugin for storage pools and volumes of libvirt. Proposes steps; the core carries them out."""
