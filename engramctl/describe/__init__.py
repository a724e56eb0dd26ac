"""What a folder, a checkpoint, a scheme or a result is."""
