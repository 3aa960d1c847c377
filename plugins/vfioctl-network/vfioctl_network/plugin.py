"""No hooks: this plugin only brings verbs."""
