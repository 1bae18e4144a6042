"""The rows of the error table, a file for each thing that can go wrong."""
