"""What a run found: the result's document, file and tables, and its resolution."""
