"""Rows on a device: records in its memory or pinned, gathered, dequantised and kept there."""
