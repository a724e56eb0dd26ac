"""Results held against each other: same cases, ratios, and what noise lets one say."""
