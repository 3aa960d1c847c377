"""One verb a file; vfioctl/verbs/table.py has their rows."""
