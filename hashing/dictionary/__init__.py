"""The exact look-up: its n-grams, its document, its search; the door to both kinds of scheme."""
