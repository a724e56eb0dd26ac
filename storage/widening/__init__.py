"""Rows by address -> floats: every dtype's blocks as vectors."""
