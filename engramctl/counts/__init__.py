"""A counts folder, read: its manifest, its n-grams, and as a scheme reads them."""
