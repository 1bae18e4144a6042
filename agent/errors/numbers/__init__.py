"""The numbers by which each old dialect knows an error, and what they mean."""
