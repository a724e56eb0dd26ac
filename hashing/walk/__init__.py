"""One step of the walk each: batch, token map, window, mix, heads."""
