"""The icon and the windows, processes of their own. Nothing here yet; the terminal asks meanwhile."""
