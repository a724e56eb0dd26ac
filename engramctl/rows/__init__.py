"""Row ids in and out: token sequences, files of rows, another engine's mistakes named."""
