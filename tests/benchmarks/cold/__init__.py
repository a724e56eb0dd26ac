"""Rows read from a disk with nothing in memory: tables, peers and what is counted."""
