"""What is timed: one sample at a time, each from the same ground."""
