"""Rows in flight: every engine, mode and layout; faults, changed files, little memory."""
