"""`vfioctl verb`: one verb a file."""
