"""The n-gram dictionary, one record an n-gram: written and read.

A cache of bytes: bound to its table's digest, always deletable.
"""
