"""What the program must stand for months, done in minutes: see `python -m tests.soak --help`."""
