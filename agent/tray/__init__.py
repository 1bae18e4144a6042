"""The daemon's side of the tray: what it shows, and what a choice in its menu does."""
