"""The one door: what a path is, by names and first bytes, and which command is meant."""
