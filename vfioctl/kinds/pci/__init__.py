"""Steps on PCI functions: their drivers, resets, and looks for new ones."""
