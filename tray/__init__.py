"""The icon and the windows, processes of their own: they show and ask, and the daemon does."""
