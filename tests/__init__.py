"""Tests mirror the source folders; names are sentences."""
