"""Rows not read again: the row cache, and n-gram records that rows are taken from."""
