"""The walk, three times with the same answer: plain numpy, numba for CPUs, torch for devices."""
