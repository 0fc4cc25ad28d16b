"""Failure signatures: one a file, found because it is there."""
