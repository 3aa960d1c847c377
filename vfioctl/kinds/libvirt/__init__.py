"""Steps on what libvirt keeps and runs. They alone among the kinds use libvirt-python, inside functions."""
