"""vfioctl plugin."""
