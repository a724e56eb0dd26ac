"""Options, names and mined counts -> a scheme."""
