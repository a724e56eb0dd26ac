"""What the bytes of a folder are: row files, manifest, index."""
