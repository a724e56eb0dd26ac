"""Rows past the page cache: planned, read, held in memory of a fixed size, handed over."""
