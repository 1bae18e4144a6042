"""What the command line does for the installers of Windows."""
