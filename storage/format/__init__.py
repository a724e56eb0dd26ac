"""What the bytes of a folder are: row files, geometry, the manifest, the dictionary's index."""
