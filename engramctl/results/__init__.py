"""What a run found: the result's document, its file, its tables."""
