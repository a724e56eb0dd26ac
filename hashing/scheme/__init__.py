"""A scheme as data: fields, checks, scheme.json, decode state."""
