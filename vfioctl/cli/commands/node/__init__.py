"""`vfioctl node`: one verb a file."""
