"""What vfioctl loads where a guest starts: nothing. This plugin has verbs alone."""
