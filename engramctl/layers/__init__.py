"""The parts a decoder is made of: its shape, seeded weights, norms, attention, feed-forward."""
