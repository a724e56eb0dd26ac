"""Residual sites: none, hc, mhc, single_pass, and the read-outs."""
