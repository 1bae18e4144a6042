"""The command line and composition root: the one place that puts the rooms together; nothing imports it."""
