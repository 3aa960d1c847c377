"""`vfioctl gpu`: one verb a file."""
