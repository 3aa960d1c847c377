"""`vfioctl operation …`: what is open, of any operation."""
