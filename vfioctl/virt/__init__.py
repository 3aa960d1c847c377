"""What libvirt says, over any URI, as frozen data. Changes nothing; never on the way of a hook."""
