"""Plans, and row files streamed, resumed and published."""
