"""`vfioctl plugins`: one verb a file."""
