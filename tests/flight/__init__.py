"""Rows in flight: every engine, mode, layout and dtype, with faults, changed files, little memory."""
