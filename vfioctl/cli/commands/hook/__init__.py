"""`vfioctl hook`: one verb a file."""
