"""The daemon's side of the tray: what it is told, and what is done when somebody chooses something there."""
