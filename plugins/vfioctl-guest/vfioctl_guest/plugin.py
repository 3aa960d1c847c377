"""Has no hooks: no start of a guest imports this plugin. Its verbs are in `commands`."""
