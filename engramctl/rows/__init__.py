"""Row ids in and out: sequences, files, another engine's mistakes named."""
