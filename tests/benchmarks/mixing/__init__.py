"""Parts of the benchmark of tiers that are mixed."""
