"""Rows on a device: records in its memory or pinned, gathered and dequantised there."""
