"""Names of corpora -> files: by one rule, here and on remote systems."""
