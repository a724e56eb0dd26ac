"""Host memory that a device reads: pinned to the byte, filled by threads, awaited by streams."""
