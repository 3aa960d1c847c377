"""`vfioctl config`: one verb a file."""
