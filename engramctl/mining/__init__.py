"""Exact n-gram counts of a corpus of any size.

keys        the order of every result, and the record of an n-gram
reference   the counts in plain Python: what every engine must give
count       the two pure steps: a chunk -> records by partition; a partition -> rows of every order
local       the embedded engine: reading -> chunks -> spill -> count -> output
kernels, table, levels      the compiled loops of the two steps
unigrams, top               what needs all partitions: order 1, --top-k
"""
