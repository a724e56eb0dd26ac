"""Exact n-gram counts of a corpus of any size.

keys        the exact key, its mix (the order of every result) and the packed record
reference   the same in plain Python: what every engine must give
local       the embedded engine: chunks -> kernels -> spill -> count -> writer
wide        the path for ids too large to pack into one word
"""
