"""The walk, with one answer: plain numpy; numba on CPUs; Triton or torch on other devices."""
