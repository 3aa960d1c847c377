"""The verbs `vfioctl guest …`, one file each. They read facts, choose a plan and hand it over."""
