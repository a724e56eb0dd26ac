"""Lookups measured, tier by tier: gathers, gated lookups, model steps."""
