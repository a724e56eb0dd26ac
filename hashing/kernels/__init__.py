"""The walk, with one answer: numpy, numba, Triton, torch; and n-gram keys."""
