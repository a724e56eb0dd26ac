"""Families, presets, and a model's config.json: all give a scheme."""
