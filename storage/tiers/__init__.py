"""Rows in flight: a store for each tier, the same few verbs for gpu, host and ssd."""
