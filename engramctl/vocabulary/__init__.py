"""Tokenizer files, token maps, and whether two things share a vocabulary."""
