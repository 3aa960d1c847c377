"""A vfioctl plugin that keeps the CPUs at speed while a guest runs."""
