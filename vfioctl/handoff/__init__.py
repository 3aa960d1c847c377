"""ONE HAND-OFF: asks the plugins, plans, runs the engine, and what libvirt's events mean for it."""
