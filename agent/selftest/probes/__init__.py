"""What each row of the self-test looks at, one module for each kind of row."""
