"""Rows in flight: a store for each tier, with the same few verbs."""
