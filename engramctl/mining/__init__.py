"""Counting a corpus of any size: engines, resume, output.

local       the embedded engine: reading -> chunks -> spill -> count -> output
ray_engine  the same kernels as Ray tasks
"""
