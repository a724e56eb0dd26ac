"""The exact look-up, and the one door to both kinds of scheme."""
