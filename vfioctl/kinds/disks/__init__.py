"""Steps on the disks of guests."""
