"""Cache policies, simulated, and the samples they run on."""
