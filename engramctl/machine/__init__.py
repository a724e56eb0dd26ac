"""What this machine has: the facts that every result carries."""
