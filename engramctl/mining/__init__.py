"""Counting a corpus of any size: engines, resume, output.

engines     which of the two counts
local       the embedded engine: reading -> chunks -> spill -> count -> output
ray_engine  the same kernels as Ray tasks
"""
