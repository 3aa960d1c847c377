"""The seed of a new guest: a small ISO image from which cloud-init in it reads who may log in, and where it is."""
