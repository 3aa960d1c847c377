"""vfioctl plugin for cards on amdgpu."""
