"""The simulated kernel: what sysfs, procfs and devtmpfs show, and how they change when they are written to."""
