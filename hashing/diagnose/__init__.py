"""What a scheme does: load, chance, resonance, one position explained."""
