"""Is an output up to date? What it was made from: recorded, compared, told."""
