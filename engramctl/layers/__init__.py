"""What a decoder is made of: its shape, weights, norms, attention."""
