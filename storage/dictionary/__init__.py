"""The n-gram dictionary: one record per n-gram with its rows of every layer, and an exact index.

A cache of bytes: bound to its table's digest, always deletable.
"""
