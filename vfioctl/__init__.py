"""vfioctl hands devices from a Linux host to its libvirt guests and back, as a transaction."""

__version__ = "0.1.0"
