"""Measure lookups tier by tier: gather alone, the gated lookup, and whole model steps."""
