"""What the row cache and the dictionaries save, on V4.1's row ids of real text."""
