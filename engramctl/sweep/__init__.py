"""What a run of `bench` measures: options, axes, cases with their IDs, and loops."""
