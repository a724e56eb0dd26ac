"""The two ways a table is dealt to ranks, by name; needs no torch."""

HEADS = "heads"
ROWS = "rows"
SHARDS = (HEADS, ROWS)
