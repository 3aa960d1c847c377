"""vfioctl plugin: takes the desktop off the card and brings it back."""
