"""The vfioctl plugin that snapshots a guest's disks before each start. Proposes steps; the core carries them out."""
