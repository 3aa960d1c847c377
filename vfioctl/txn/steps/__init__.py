"""One primitive change a file. Nothing else in vfioctl writes to the machine; nothing here decides what to change."""
