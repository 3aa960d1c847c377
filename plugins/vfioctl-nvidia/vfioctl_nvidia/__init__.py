"""vfioctl plugin for cards on NVIDIA's kernel driver."""
