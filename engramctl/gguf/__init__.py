"""GGUF files as published: headers, parts of a split one, types, integers."""
