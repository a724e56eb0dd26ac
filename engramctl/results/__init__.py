"""What a run found: its document, its file, its tables, its resolution."""
