"""Rows not read again: a row cache, and n-gram records that fill themselves."""
