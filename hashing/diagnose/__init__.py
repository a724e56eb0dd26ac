"""What a scheme does: load beside chance, resonance, one position explained."""
