"""Ratios against named peers; run by `python -m tests.benchmarks NAME [--json] [--quick]`."""
