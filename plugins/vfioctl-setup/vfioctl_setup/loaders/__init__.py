"""Boot loaders: which one starts this host, and how the kernel's command line is changed there. They read only."""
