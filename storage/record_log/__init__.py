"""N-gram records in a bounded log that traffic fills: its file, its index, what is recorded."""
