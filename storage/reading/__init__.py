"""Finished tables and checkpoints as sources of rows."""
