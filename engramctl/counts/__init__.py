"""A counts folder, read: what it says, its n-grams, how a scheme sees them."""
